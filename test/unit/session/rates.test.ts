/** `session/rates.ts`, `pace.ts`, `intake.ts`: who is too fast is slowed, told and ended; nothing is lost, and nobody else suffers. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { disconnects, errors } from "../../../src/core/codes.ts";
import type { RateOptions } from "../../../src/session/rates.ts";
import { op } from "../../../src/wire/messages.ts";
import type { WireLane } from "../../harness/wire-client.ts";
import { identityOf, noRates, type Peer, Sessions } from "../../harness/sessions.ts";

function world(rates: Partial<RateOptions>, grants = {}): Sessions {
  const sessions = new Sessions({ rates: { ...noRates, ...rates } });
  sessions.authenticator.known.set("good", identityOf(grants));
  return sessions;
}

/** One that listens to `#`, from another address and with another credential. */
function listener(sessions: Sessions): Peer {
  const peer = sessions.open({ identity: identityOf({ tokenId: "listener", subject: "eve" }) });
  peer.send([op.subscribe, 0, "#"]);
  return peer;
}

function publishes(count: number, tag = "a") {
  return Array.from({ length: count }, (_, i) => [op.publish, 0, tag, i] as const);
}

/** Sends frames of one message each, without waiting for anything. */
function flood(peer: Peer, count: number, tag = "a"): void {
  for (const message of publishes(count, tag)) peer.connection.send(encode(message));
}

/** Lets time pass turn by turn: what a socket that is read from again holds comes with the next one. */
function pass(sessions: Sessions, ms: number): void {
  for (let passed = 0; passed < ms; passed += 20) sessions.advance(20);
}

/** Payloads that came since the last call. */
const payloads = (peer: Peer) => peer.take().map((message) => message[3]);
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

describe("messages of a connection", () => {
  const ways: readonly (readonly [string, WireLane, (peer: Peer, count: number) => void])[] = [
    ["in frames of one", "msgpack", flood],
    ["in one frame", "msgpack", (peer, count) => void peer.send(...publishes(count))],
    ["as text", "json", (peer, count) => void peer.send(...publishes(count))],
  ];
  test.each(ways)("beyond the rate wait, %s, and come in order as time allows", (_, lane, send) => {
    const sessions = world({ messageRatePerConnection: 100 });
    const seen = listener(sessions);
    const peer = sessions.open({ identity: identityOf(), lane });
    send(peer, 250);
    sessions.turn();
    expect(payloads(seen)).toEqual(upTo(100));
    expect([peer.connection.paused, sessions.registry.rates.slowedCounts.messages]).toEqual([true, 1]);
    pass(sessions, 500);
    const second = payloads(seen);
    expect(second.length).toBeGreaterThanOrEqual(48);
    expect(second.length).toBeLessThanOrEqual(52);
    pass(sessions, 1000);
    expect([...second, ...payloads(seen)]).toEqual(upTo(150, 100));
    expect(peer.connection.paused).toBe(false);
  });

  test("are bounded over a long time, however they come", () => {
    const sessions = world({ messageRatePerConnection: 200 });
    const seen = listener(sessions);
    const peer = sessions.open({ identity: identityOf() });
    let came = 0;
    for (let step = 0; step < 100; step++) {
      flood(peer, 30);
      pass(sessions, 100);
      came += payloads(seen).length;
    }
    expect(came).toBeGreaterThan(2100);
    expect(came).toBeLessThan(2260);
  });

  test("count once for each tag, and other requests count too", () => {
    const sessions = world({ messageRatePerConnection: 10 });
    const peer = sessions.open({ identity: identityOf() });
    peer.send(
      [op.publish, 0, ["a", "b", "c", "d"], 1],
      [op.ping, 1],
      [op.ping, 2],
      [op.ping, 3],
      [op.ping, 4],
      [op.ping, 5],
      [op.ping, 6],
    );
    expect(peer.connection.paused).toBe(false);
    peer.send([op.ping, 7]);
    expect(peer.connection.paused).toBe(true);
    pass(sessions, 1000);
    expect(peer.take().map((answer) => answer[1])).toEqual([7]);
  });

  const hollow: readonly (readonly [string, WireLane, (peer: Peer) => void])[] = [
    ["frames without a message", "msgpack", (peer) => peer.connection.send(new Uint8Array(0))],
    ["texts without a message", "json", (peer) => peer.connection.send("\n\n")],
    ["pings", "msgpack", (peer) => peer.session.pinged()],
  ];
  test.each(hollow)("are not the only thing that counts: so do %s", (_, lane, send) => {
    const sessions = world({ messageRatePerConnection: 10 });
    const peer = sessions.open({ identity: identityOf(), lane });
    for (let i = 0; i < 11; i++) send(peer);
    expect([peer.connection.paused, sessions.registry.rates.slowedCounts.messages]).toEqual([true, 1]);
    for (let i = 0; i < 1000; i++) send(peer);
    pass(sessions, 500);
    expect(peer.connection.paused).toBe(true);
    // What is owed is never more than a second's worth, but frames that are kept are read one by one.
    pass(sessions, 120_000);
    expect(peer.connection.paused).toBe(false);
    peer.take();
    expect(peer.send([op.ping, 1])).toEqual([[op.ok, 1, {}]]);
  });

  test("that keep to the rate are never slowed", () => {
    const sessions = world({ messageRatePerConnection: 100 });
    const peer = sessions.open({ identity: identityOf() });
    for (let step = 0; step < 200; step++) {
      flood(peer, 10);
      pass(sessions, 100);
    }
    expect([sessions.registry.rates.slowedCounts.messages, sessions.log.of("client floods")]).toEqual([0, []]);
  });

  test("of others are not slowed with them", () => {
    const sessions = world({ messageRatePerConnection: 10 });
    const seen = listener(sessions);
    const [loud, quiet] = [sessions.open({ identity: identityOf() }), sessions.open({ identity: identityOf() })];
    flood(loud, 1000, "loud");
    flood(quiet, 5, "quiet");
    sessions.turn();
    expect(seen.take().filter((message) => message[1] === "quiet")).toHaveLength(5);
  });
});

test("bytes of a connection beyond the rate wait; one frame that is larger than the rate comes through", () => {
  const sessions = world({ byteRatePerConnection: 10_000 });
  const seen = listener(sessions);
  const peer = sessions.open({ identity: identityOf() });
  const big = encode([op.publish, 0, "a", new Uint8Array(25_000)]);
  for (let i = 0; i < 3; i++) peer.connection.send(big);
  const came: number[] = [];
  for (let second = 0; second < 5; second++) {
    sessions.turn();
    came.push(seen.take().length);
    pass(sessions, 1000);
  }
  // What is owed is never more than a second's worth.
  expect(Math.max(...came)).toBe(1);
  expect(came.reduce((sum, count) => sum + count)).toBe(3);
  expect(sessions.registry.rates.slowedCounts.bytes).toBeGreaterThan(0);
});

test("subscribes of a connection beyond the rate wait", () => {
  const sessions = world({ subscribeRatePerConnection: 2 });
  const peer = sessions.open({ identity: identityOf() });
  const asked = Array.from({ length: 40 }, (_, i) => [op.subscribe, i + 1, `a/${i}`] as const);
  const first = asked.flatMap((message) => peer.send(message)).length;
  expect(first).toBeGreaterThanOrEqual(20);
  expect(first).toBeLessThanOrEqual(22);
  pass(sessions, 20_000);
  expect(first + peer.take().filter((answer) => answer[0] === op.ok).length).toBe(40);
});

describe("requests that fail", () => {
  test("are answered more slowly", () => {
    const sessions = world({ errorRatePerConnection: 5 }, {});
    const peer = sessions.open({ identity: identityOf({ grants: {} }) });
    const asked = Array.from({ length: 200 }, (_, i) => [op.publish, i + 1, "a", 1] as const);
    const first = asked.flatMap((message) => peer.send(message)).length;
    expect(first).toBeGreaterThanOrEqual(50);
    expect(first).toBeLessThan(60);
    expect(peer.connection.paused).toBe(true);
  });

  test("do not count where trying again can help", () => {
    const sessions = world({ errorRatePerConnection: 1 });
    const peer = sessions.open({ identity: identityOf() });
    for (let i = 0; i < 100; i++) peer.session.refused(1, errors.unavailable);
    peer.send([op.ping, 1]);
    expect(peer.connection.paused).toBe(false);
  });
});

describe("all connections of a credential", () => {
  const rates = { messageRatePerToken: 100 };

  test("share its rate, here and over HTTP", () => {
    const sessions = world(rates);
    const seen = listener(sessions);
    const identity = identityOf();
    const peers = [1, 2, 3, 4].map(() => sessions.open({ identity }));
    const other = sessions.open({ identity: identityOf({ tokenId: "t2" }) });
    for (const peer of peers) flood(peer, 100);
    flood(other, 50, "other");
    sessions.turn();
    const first = seen.take();
    expect(first.filter((message) => message[1] === "other")).toHaveLength(50);
    expect(first.length - 50).toBeLessThanOrEqual(100);
    expect(first.length - 50).toBeGreaterThan(90);
    const wait = sessions.registry.rates.wait(identity, "messages");
    expect(wait).toBeGreaterThan(0);
    expect(sessions.registry.rates.refusedCounts.messages).toBe(1);
    pass(sessions, 1000);
    expect(seen.take().length).toBeLessThanOrEqual(102);
    pass(sessions, 5000);
    expect(sessions.registry.rates.wait(identity, "messages")).toBe(0);
  });

  test("are forgotten with it once it makes no difference", () => {
    const sessions = world(rates);
    const peer = sessions.open({ identity: identityOf() });
    flood(peer, 50);
    sessions.turn();
    peer.connection.drop();
    sessions.turn();
    expect(sessions.registry.rates.credentials).toBe(1);
    pass(sessions, 2000);
    expect(sessions.registry.rates.credentials).toBe(0);
    sessions.registry.rates.charge(identityOf({ tokenId: "http" }), { messages: 10 });
    expect(sessions.registry.rates.credentials).toBe(1);
    pass(sessions, 2000);
    expect(sessions.registry.rates.credentials).toBe(0);
  });

  test("count for nothing where there is no bound", () => {
    const sessions = world({});
    sessions.open({ identity: identityOf() });
    expect(sessions.registry.rates.credentials).toBe(0);
  });

  test("opened too fast are ended, to come back later", () => {
    const sessions = world({ acceptRatePerToken: 1 });
    const peers = Array.from({ length: 11 }, () => sessions.open({ identity: identityOf() }));
    sessions.turn();
    expect(peers.map((peer) => peer.closeCode)).toEqual([...Array(10).fill(null), disconnects.tooManyConnects.code]);
    expect(peers[10]?.take().at(-1)?.[3]).toBe(1000);
    sessions.clock.advance(1000);
    expect(sessions.open({ identity: identityOf() }).closeCode).toBeNull();
  });
});

describe("a rate that a credential carries", () => {
  test("takes the place of those that are configured, up and down", () => {
    const sessions = world({ messageRatePerConnection: 10, messageRatePerToken: 10 });
    const seen = listener(sessions);
    const counts = [50, 5, 0, null].map((messagesPerSecond, i) => {
      const identity = identityOf({ tokenId: `own${i}`, messagesPerSecond });
      flood(sessions.open({ identity }), 200);
      sessions.turn();
      return seen.take().length;
    });
    expect(counts).toEqual([50, 5, 200, 10]);
  });

  test("holds at once when it is edited", () => {
    const sessions = world({});
    const seen = listener(sessions);
    const peer = sessions.open({ identity: identityOf() });
    flood(peer, 300);
    sessions.turn();
    expect(seen.take()).toHaveLength(300);
    sessions.authenticator.change({ kind: "edited", identity: identityOf({ messagesPerSecond: 20 }) });
    flood(peer, 300);
    sessions.turn();
    expect(seen.take()).toHaveLength(20);
    sessions.authenticator.change({ kind: "edited", identity: identityOf({ messagesPerSecond: 0 }) });
    pass(sessions, 100);
    expect(seen.take()).toHaveLength(280);
  });
});

describe("a client that floods", () => {
  const rates = { messageRatePerConnection: 10, floodDeadlineMs: 5000 };

  test("is told each second, named in the log, and ended when the deadline has passed", () => {
    const sessions = world(rates);
    const peer = sessions.open({ identity: identityOf() });
    flood(peer, 10_000);
    pass(sessions, 4500);
    const notices = peer.take().filter((message) => message[0] === op.error);
    expect(notices.length).toBeGreaterThanOrEqual(3);
    for (const notice of notices) expect(notice.slice(0, 3)).toEqual([op.error, 0, errors.slowed.code]);
    expect(String(notices[0]?.[3])).toContain("10 messages a second");
    pass(sessions, 2000);
    expect(peer.closeCode).toBe(disconnects.flooding.code);
    const [, , , retryAfterMs] = peer.take().at(-1) ?? [];
    expect(retryAfterMs).toBeGreaterThanOrEqual(5000);
    const fields = sessions.log.of("client floods")[0]?.fields;
    expect(fields).toMatchObject({ from: "192.0.2.1", kind: "messages", perSecond: 10 });
    expect(sessions.registry.rates.told).toBe(notices.length);
  });

  test("and slows down is left alone", () => {
    const sessions = world(rates);
    const peer = sessions.open({ identity: identityOf() });
    flood(peer, 30);
    pass(sessions, 10_000);
    expect(peer.take().filter((message) => message[0] === op.error).length).toBeLessThanOrEqual(2);
    for (let second = 0; second < 30; second++) {
      flood(peer, 9);
      pass(sessions, 1000);
    }
    expect([peer.closeCode, peer.take()]).toEqual([null, []]);
  });

  test("is kept for ever where the deadline is 0, and not taken for mute", () => {
    const sessions = world({ ...rates, floodDeadlineMs: 0 });
    const peer = sessions.open({ identity: identityOf() });
    peer.mute = true;
    flood(peer, 3000);
    pass(sessions, 200_000);
    expect(peer.closeCode).toBeNull();
  });

  test("that leaves while it is slowed leaves nothing behind", () => {
    const sessions = world({ ...rates, messageRatePerToken: 5 });
    const peer = sessions.open({ identity: identityOf() });
    const { timers } = sessions.clock;
    flood(peer, 100);
    peer.connection.drop();
    pass(sessions, 3000);
    expect([sessions.registry.size, sessions.registry.rates.credentials]).toEqual([0, 0]);
    expect(sessions.clock.timers).toBeLessThanOrEqual(timers);
  });
});

test("a frame that would be held for the rate is held while the answers are not read, too", () => {
  const sessions = world({ messageRatePerConnection: 10 });
  const peer = sessions.open({ identity: identityOf() });
  const answers = peer.send(...Array.from({ length: 30 }, (_, i) => [op.ping, i + 1] as const));
  pass(sessions, 5000);
  expect([...answers, ...peer.take()].filter((message) => message[0] === op.ok).map((message) => message[1])).toEqual(
    upTo(30, 1),
  );
});
