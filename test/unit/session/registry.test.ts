import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { op } from "../../../src/wire/messages.ts";
import { identityOf, type Peer, Sessions } from "../../harness/sessions.ts";

const second = 1000;
const readAll = { "#": ["read" as const] };

/** Lets time pass a second at a time. */
function pass(sessions: Sessions, seconds: number, each: () => void = () => {}): void {
  for (let i = 0; i < seconds; i++) {
    sessions.advance(second);
    each();
  }
}

function codes(peer: Peer): unknown[] {
  return peer.take().map((message) => message.slice(0, message[0] === op.unsubscribed ? 3 : 2));
}

describe("the heartbeat", () => {
  test("pings who is silent for an interval, and keeps who answers for ever", () => {
    const sessions = new Sessions({ pingSeconds: 25 });
    const peer = sessions.open({ identity: identityOf() });
    pass(sessions, 24);
    expect(peer.pings).toBe(0);
    pass(sessions, 2);
    expect(peer.pings).toBe(1);
    pass(sessions, 600);
    expect(peer.closeCode).toBe(null);
    expect(peer.pings).toBeGreaterThanOrEqual(600 / 26);
    expect(peer.pings).toBeLessThanOrEqual(1 + 600 / 25);
  });

  test("does not ping who speaks", () => {
    const sessions = new Sessions({ pingSeconds: 25 });
    const peer = sessions.open({ identity: identityOf() });
    pass(sessions, 100, () => peer.send([op.ping, 1]));
    expect([peer.pings, peer.closeCode]).toEqual([0, null]);
  });

  test("ends a mute client after two intervals, however much is sent to it", () => {
    const sessions = new Sessions({ pingSeconds: 25 });
    const publisher = sessions.open({ identity: identityOf() });
    const peer = sessions.open({ identity: identityOf() });
    peer.mute = true;
    peer.send([op.subscribe, 1, "a"]);
    let sent = 0;
    pass(sessions, 49, () => publisher.send([op.publish, 0, "a", ++sent]));
    expect([peer.closeCode, peer.pings, peer.received.length]).toEqual([null, 1, sent]);
    pass(sessions, 2, () => publisher.send([op.publish, 0, "a", ++sent]));
    expect([peer.closeCode, peer.received.at(-1)?.slice(0, 2)]).toEqual([3002, [22, 3002]]);
    expect([sessions.registry.counts.mute, sessions.registry.size]).toEqual([1, 1]);
  });

  test("has the interval that op 1 wished for", () => {
    const sessions = new Sessions({ pingSeconds: 25 });
    const slow = sessions.open({ identity: identityOf() });
    const quick = sessions.open({ identity: identityOf() });
    slow.send([op.connect, 1, { ping: 900 }]);
    quick.send([op.connect, 1, { ping: 10 }]);
    slow.mute = quick.mute = true;
    pass(sessions, 19);
    expect([slow.closeCode, quick.closeCode, slow.pings, quick.pings]).toEqual([null, null, 0, 1]);
    pass(sessions, 2);
    expect(quick.closeCode).toBe(3002);
    pass(sessions, 1778);
    expect([slow.closeCode, slow.pings]).toEqual([null, 1]);
    pass(sessions, 2);
    expect(slow.closeCode).toBe(3002);
  });
});

describe("a credential", () => {
  test("that expires ends its session with op 22 3003", () => {
    const sessions = new Sessions();
    const expiresAtMs = sessions.clock.wallMs() + 5 * second;
    const peer = sessions.open({ identity: identityOf({ expiresAtMs }) });
    pass(sessions, 4);
    expect(peer.closeCode).toBe(null);
    pass(sessions, 1);
    expect(codes(peer)).toEqual([[22, 3003]]);
    expect([peer.closeCode, sessions.registry.size]).toEqual([3003, 0]);
  });

  test("that is refreshed in time lives as long as the new one", () => {
    const sessions = new Sessions();
    const nowMs = sessions.clock.wallMs();
    sessions.authenticator.known.set("next", identityOf({ tokenId: "t2", expiresAtMs: nowMs + 60 * second }));
    const peer = sessions.open({ identity: identityOf({ expiresAtMs: nowMs + 5 * second }) });
    expect(peer.send([op.refresh, 3, "next"])).toEqual([
      [16, 3, { expires: Math.floor((nowMs + 60 * second) / second) }],
    ]);
    pass(sessions, 59);
    expect(peer.closeCode).toBe(null);
    pass(sessions, 1);
    expect(peer.closeCode).toBe(3003);
  });

  test.each(["at once", "later"])("of another subject is refused %s, and the old one stays", async (when) => {
    const sessions = new Sessions();
    sessions.authenticator.known.set("bob", identityOf({ subject: "bob", grants: {} }));
    if (when === "later") sessions.authenticator.late.add("bob");
    const peer = sessions.open({ identity: identityOf() });
    peer.connection.send(encode([op.refresh, 3, "bob"]));
    await sessions.authenticator.settle();
    expect(peer.take().map((answer) => answer.slice(0, 3))).toEqual([[17, 3, 119]]);
    expect(peer.send([op.subscribe, 4, "a"])).toEqual([[16, 4, {}]]);
  });

  test("that is refused by op 7 leaves the session as it was", () => {
    const sessions = new Sessions();
    const peer = sessions.open({ identity: identityOf() });
    expect(peer.send([op.refresh, 3, "nonsense"], [op.subscribe, 4, "a"]).map((answer) => answer.slice(0, 3))).toEqual([
      [17, 3, 117],
      [16, 4, {}],
    ]);
  });

  test("that grants less ends with op 21 what it no longer grants, and nothing else", () => {
    const sessions = new Sessions();
    const narrow = identityOf({ tokenId: "t2", grants: { "a/#": ["subscribe"] } });
    sessions.authenticator.known.set("narrow", narrow);
    const peer = sessions.open({ identity: identityOf() });
    const other = sessions.open({ identity: identityOf() });
    peer.send([op.connect, 1, {}]);
    const reply = `${peer.session.makeReplyPrefix()}/#`;
    peer.send(...["a/1", "a/+", "b/1", "#", reply].map((pattern, i) => [op.subscribe, i + 2, pattern]));
    expect(codes(peer)).toEqual([]);
    const told = peer.send([op.refresh, 20, "narrow"], [op.publish, 21, "a/1", 1]);
    expect(told.map((message) => message.slice(0, 3))).toEqual([
      [21, "b/1", 2000],
      [21, "#", 2000],
      [16, 20, {}],
      [17, 21, 103],
    ]);
    other.send([op.publish, 0, "a/1", "still"], [op.publish, 0, "b/1", "no more"]);
    expect(peer.take().map((message) => [message[1], message[3], message[5]])).toEqual([
      ["a/1", "still", undefined],
      ["a/1", "still", "a/+"],
    ]);
  });

  test("that is edited acts on its own sessions alone", () => {
    const sessions = new Sessions();
    const [mine, other] = ["t1", "t2"].map((tokenId) => sessions.open({ identity: identityOf({ tokenId }) }));
    for (const peer of [mine!, other!]) peer.send([op.subscribe, 1, "a"]);
    sessions.authenticator.change({
      kind: "edited",
      identity: identityOf({ tokenId: "t1", grants: { b: ["subscribe"] } }),
    });
    expect([codes(mine!), codes(other!)]).toEqual([[[21, "a", 2000]], []]);
  });

  test.each([
    ["its id", { tokenId: "t1" }, [3502, null, null]],
    ["its subject", { subject: "ann" }, [3502, 3502, null]],
    ["its subject and a time before which it was issued", { subject: "ann", issuedBeforeMs: 1 }, [3502, 3502, null]],
    ["its subject and a time after which it was issued", { subject: "ann", issuedBeforeMs: 0 }, [null, null, null]],
    ["another application", { subject: "ann", app: "acme" }, [null, null, null]],
  ])("that is revoked by %s ends its sessions at once", (_, match, expected) => {
    const sessions = new Sessions();
    const holders = [{ tokenId: "t1" }, { tokenId: "t2" }, { tokenId: "t3", subject: "bob" }];
    const peers = holders.map((parts) => sessions.open({ identity: identityOf(parts) }));
    const anonymous = sessions.open();
    sessions.authenticator.change({ kind: "revoked", app: "main", ...match });
    expect(peers.map((peer) => peer.closeCode)).toEqual(expected);
    expect(anonymous.closeCode).toBe(null);
  });

  test("may hold as many connections as it says, and a refreshed one keeps its place", () => {
    const sessions = new Sessions();
    const identity = identityOf({ connectionsMax: 2 });
    const peers = [1, 2, 3].map(() => sessions.open({ identity }));
    expect(peers.map((peer) => peer.closeCode)).toEqual([null, null, 3503]);
    sessions.authenticator.known.set("again", identity);
    expect(peers[0]!.send([op.refresh, 1, "again"])[0]?.[0]).toBe(op.ok);
    peers[0]!.connection.drop();
    expect(sessions.open({ identity }).closeCode).toBe(null);
    expect(sessions.open({ identity }).closeCode).toBe(3503);
    expect(sessions.registry.size).toBe(2);
  });

  test("whose bound is lowered loses the newest of its connections, and no others", () => {
    const sessions = new Sessions();
    const peers = Array.from({ length: 5 }, () => sessions.open({ identity: identityOf() }));
    const other = sessions.open({ identity: identityOf({ tokenId: "other" }) });
    const lower = (connectionsMax: number) =>
      sessions.authenticator.change({ kind: "edited", identity: identityOf({ connectionsMax }) });
    lower(5);
    expect(peers.map((peer) => peer.closeCode)).toEqual([null, null, null, null, null]);
    lower(2);
    expect(peers.map((peer) => peer.closeCode)).toEqual([null, null, 3503, 3503, 3503]);
    expect(peers[4]?.take().at(-1)?.slice(0, 2)).toEqual([op.disconnect, 3503]);
    expect([other.closeCode, sessions.open({ identity: identityOf({ connectionsMax: 2 }) }).closeCode]).toEqual([
      null,
      3503,
    ]);
  });
});

describe("drain()", () => {
  const never = new AbortController().signal;

  /** Lets a fake clock run while a promise is open; how long it took by that clock. */
  async function settleWith(sessions: Sessions, done: Promise<void>): Promise<number> {
    const from = sessions.clock.monotonicMs();
    const over = new AbortController();
    void done.then(() => over.abort());
    for (let i = 0; i < 10_000; i++) {
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      if (over.signal.aborted) break;
      sessions.advance(10);
    }
    await done;
    return sessions.clock.monotonicMs() - from;
  }

  test("tells everybody to come back, each at another time", async () => {
    const sessions = new Sessions();
    const peers = Array.from({ length: 50 }, () => sessions.open({ identity: identityOf() }));
    await settleWith(sessions, sessions.registry.drain(10_000, never));
    const waits = peers
      .map((peer) => peer.take()[0]!)
      .map(([kind, code, , retryAfterMs]) => {
        expect([kind, code]).toEqual([22, 3000]);
        return retryAfterMs as number;
      });
    expect(waits.every((ms) => Number.isInteger(ms) && ms >= 0 && ms < 600)).toBe(true);
    expect(new Set(waits).size).toBeGreaterThan(20);
    expect(sessions.registry.size).toBe(0);
  });

  test("spreads many over time, yet takes at most half of what it has", async () => {
    const sessions = new Sessions();
    for (let i = 0; i < 3000; i++) sessions.open({ identity: identityOf() });
    const done = sessions.registry.drain(2000, never);
    expect(sessions.registry.size).toBeGreaterThan(2000);
    const tookMs = await settleWith(sessions, done);
    expect(tookMs).toBeGreaterThan(500);
    expect(tookMs).toBeLessThanOrEqual(1100);
    expect(sessions.registry.size).toBe(0);
  });

  test("waits for who still has something to read, as long as it may", async () => {
    const sessions = new Sessions();
    const peer = sessions.open({ identity: identityOf() });
    peer.send([op.subscribe, 1, "a"]);
    peer.connection.stopReading();
    peer.send([op.publish, 0, "a", "x".repeat(100_000)]);
    expect(await settleWith(sessions, sessions.registry.drain(2000, never))).toBeGreaterThanOrEqual(2000);
    expect(sessions.registry.size).toBe(1);
    peer.connection.read();
    expect(peer.received.at(-1)?.slice(0, 2)).toEqual([22, 3000]);
    expect(sessions.registry.size).toBe(0);
  });

  test("ends everybody at once where it is aborted", async () => {
    const sessions = new Sessions();
    for (let i = 0; i < 3000; i++) sessions.open({ identity: identityOf() });
    expect(await settleWith(sessions, sessions.registry.drain(10_000, AbortSignal.abort()))).toBe(0);
    expect(sessions.registry.size).toBe(0);
  });

  test("ends who comes in meanwhile, and leaves no timer behind", async () => {
    const sessions = new Sessions();
    sessions.open({ identity: identityOf() });
    await settleWith(sessions, sessions.registry.drain(0, never));
    const late = sessions.open({ identity: identityOf({ grants: readAll }) });
    expect([late.closeCode, sessions.registry.size]).toEqual([3000, 0]);
    void sessions.hub.stop();
    expect(sessions.clock.timers).toBe(0);
  });
});

describe("patterns named at the upgrade", () => {
  test("are subscribed to once the session is active, and their errors have ref 0", () => {
    const sessions = new Sessions();
    sessions.authenticator.known.set("good", identityOf({ grants: { "a/#": ["readwrite"] } }));
    const peer = sessions.open({ named: ["a/1", "b", "a/#"] });
    expect(peer.take()).toEqual([]);
    const told = peer.send([op.connect, 1, { token: "good" }], [op.publish, 2, "a/1", "x"]);
    expect(told.filter(([kind]) => kind !== op.message).map((message) => message.slice(0, 3))).toEqual([
      [16, 1, expect.anything()],
      [17, 0, 103],
      [16, 2, {}],
    ]);
    expect(told.filter(([kind]) => kind === op.message)).toHaveLength(2);
  });
});
