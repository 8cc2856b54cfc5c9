import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { liveOnly } from "../../../src/core/tag-rule.ts";
import { AuthenticationError } from "../../../src/core/authenticator.ts";
import { disconnects, errors } from "../../../src/core/codes.ts";
import { op } from "../../../src/wire/messages.ts";
import { identityOf, type Peer, Sessions } from "../../harness/sessions.ts";

/** Sessions that know the token `good`. */
function withToken(parts: Parameters<typeof identityOf>[0] = {}, options = {}): Sessions {
  const sessions = new Sessions(options);
  sessions.authenticator.known.set("good", identityOf(parts));
  return sessions;
}

/** The code of the last message, which is op 22, and the code of the close frame. */
function farewell(peer: Peer): unknown {
  const last = peer.take().at(-1);
  expect(last?.slice(0, 2)).toEqual([op.disconnect, peer.closeCode]);
  return peer.closeCode;
}

const connectGood = [op.connect, 1, { token: "good" }] as const;

describe("before it is connected, a session", () => {
  test("answers op 9, and 101 to everything but op 1", () => {
    const peer = withToken().open();
    const answers = peer.send(
      [op.ping, 1],
      [op.subscribe, 2, "a"],
      [op.publish, 3, "a", 1],
      [op.unsubscribe, 4, "a"],
      [op.history, 5, "a"],
      [op.presence, 6, "a"],
      [op.refresh, 7, "good"],
      [op.connect, 8, {}],
    );
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual([
      [16, 1, {}],
      ...[2, 3, 4, 5, 6, 7, 8].map((ref) => [17, ref, 101]),
    ]);
    expect(peer.send(connectGood)[0]?.slice(0, 2)).toEqual([16, 1]);
  });

  test("is ended when the deadline has passed, not before, and not once it is active", () => {
    const sessions = withToken({}, { authenticationDeadlineMs: 2000 });
    const early = sessions.open();
    sessions.clock.advance(900);
    const late = sessions.open();
    const active = sessions.open();
    active.send(connectGood);
    late.send([op.ping, 1]);
    sessions.clock.advance(1100);
    expect([early.closeCode, late.closeCode]).toEqual([3006, null]);
    sessions.advance(1000);
    expect([farewell(early), farewell(late), active.closeCode]).toEqual([3006, 3006, null]);
  });

  test("has the whole of a deadline that is shorter than a sweep", () => {
    const sessions = withToken({}, { authenticationDeadlineMs: 500 });
    sessions.clock.advance(900);
    const peer = sessions.open();
    sessions.clock.advance(100);
    expect(peer.closeCode).toBe(null);
    sessions.clock.advance(1000);
    expect(peer.closeCode).toBe(3006);
  });
});

describe("op 1", () => {
  test("tells what holds", () => {
    const peer = withToken({ expiresAtMs: 1_800_000_000_999 }).open();
    expect(peer.send([op.connect, 5, { token: "good", client: "pump", ping: 900 }])).toEqual([
      [
        16,
        5,
        {
          version: 1,
          session: peer.session.id,
          server: "tagcast/test",
          client: "pump",
          ping: 900,
          reply: expect.stringMatching(/^\$reply\/[0-9a-f]{32}$/),
          payloadMax: 1_000_000,
          expires: 1_800_000_000,
        },
      ],
    ]);
  });

  test("does not change a client name that the credential fixes", () => {
    const peer = withToken({ client: "fixed" }).open();
    expect(peer.send([op.connect, 1, { token: "good", client: "other" }])[0]?.[2]).toMatchObject({ client: "fixed" });
  });

  test("a second time is refused, and the session goes on", () => {
    const peer = withToken().open();
    peer.send(connectGood);
    expect(peer.send([op.connect, 2, { token: "good" }], [op.ping, 3]).map((answer) => answer.slice(0, 3))).toEqual([
      [17, 2, 122],
      [16, 3, {}],
    ]);
  });

  test.each([
    [errors.invalidToken, 3500],
    [errors.expiredToken, 3003],
    [errors.unavailable, 3007],
  ])("with a token that is refused (%j) is answered, then ends the session", async (code, end) => {
    for (const late of [false, true]) {
      const sessions = new Sessions();
      sessions.authenticator.known.set("bad", new AuthenticationError(code));
      if (late) sessions.authenticator.late.add("bad");
      const peer = sessions.open();
      peer.connection.send(encode([op.connect, 1, { token: "bad" }]));
      await sessions.authenticator.settle();
      expect(peer.take().map((message) => message.slice(0, 3))).toEqual([
        [17, 1, code.code],
        [22, end, expect.any(String)],
      ]);
      expect([peer.closeCode, sessions.registry.size]).toEqual([end, 0]);
      expect(sessions.registry.credentials.counts.failures).toBe(1);
    }
  });

  test("with a bug behind it ends the session and leaves the others alone", async () => {
    const sessions = withToken();
    sessions.authenticator.late.add("good");
    sessions.hub.connections.acquire = () => {
      throw new Error("bug");
    };
    const peer = sessions.open();
    peer.send(connectGood);
    await sessions.authenticator.settle();
    expect(farewell(peer)).toBe(3004);
    expect(sessions.log.of("session failed")).toHaveLength(1);
  });
});

describe("while other instances are asked whether its token has connections enough, a session", () => {
  const bounded = identityOf({ tokenId: "t9", connectionsMax: 1 });

  /** A hub that asks; `answers` in the order of the questions. */
  function asking() {
    const sessions = withToken();
    const answers: PromiseWithResolvers<boolean>[] = [];
    const released: unknown[] = [];
    sessions.hub.connections.acquire = () => {
      const answer = Promise.withResolvers<boolean>();
      answers.push(answer);
      return answer.promise;
    };
    sessions.hub.connections.release = (identity) => void released.push(identity);
    const decide = async (index: number, isAdmitted: boolean) => {
      answers[index]?.resolve(isAdmitted);
      for (let i = 0; i < 10; i++) await Promise.resolve();
    };
    return { sessions, decide, released };
  }

  test("keeps what comes, from op 1 and from the upgrade, and goes on where it may", async () => {
    for (const identity of [null, bounded]) {
      const { sessions, decide } = asking();
      const peer = sessions.open({ identity });
      if (identity === null) peer.connection.send(encode(connectGood));
      expect(peer.send([op.ping, 2])).toEqual([]);
      expect([peer.connection.paused, peer.session.active]).toEqual([true, false]);
      await decide(0, true);
      expect(peer.take().at(-1)?.slice(0, 2)).toEqual([op.ok, 2]);
      expect([peer.connection.paused, peer.session.active]).toEqual([false, true]);
    }
  });

  test("is ended where it may not, and where its token is revoked meanwhile", async () => {
    const { sessions, decide, released } = asking();
    const [refused, revoked] = [sessions.open({ identity: bounded }), sessions.open({ identity: bounded })];
    await decide(0, false);
    expect(farewell(refused)).toBe(3503);
    sessions.authenticator.change({ kind: "revoked", app: bounded.app, tokenId: "t9" });
    expect(farewell(revoked)).toBe(3502);
    await decide(1, true);
    expect([revoked.session.active, sessions.registry.size]).toEqual([false, 0]);
    // It was never counted where it was refused.
    expect(released).toEqual([bounded]);
  });

  test("whose token is edited meanwhile has what it grants now", async () => {
    const { sessions, decide } = asking();
    const peer = sessions.open({ identity: bounded });
    const now = { ...bounded, connectionsMax: null };
    sessions.authenticator.change({ kind: "edited", identity: now });
    await decide(0, true);
    expect([peer.session.active, peer.session.identity]).toEqual([true, now]);
  });

  test("keeps its old place until it has the new one, and has the old one only where it ends before", async () => {
    const { sessions, decide, released } = asking();
    sessions.authenticator.known.set("next", identityOf({ tokenId: "t2", connectionsMax: 1 }));
    const peer = sessions.open();
    peer.connection.send(encode(connectGood));
    await decide(0, true);
    peer.connection.send(encode([op.refresh, 2, "next"]));
    expect(released).toEqual([]);
    await decide(1, true);
    expect(released).toMatchObject([{ tokenId: "t1" }]);
    expect(peer.session.identity.tokenId).toBe("t2");
    peer.connection.send(encode([op.refresh, 3, "good"]));
    peer.session.end(disconnects.removed);
    await decide(2, true);
    expect(released).toMatchObject([{ tokenId: "t1" }, { tokenId: "t2" }, { tokenId: "t1" }]);
  });
});

describe("while a credential is being checked, a session", () => {
  test("keeps what comes, in its frame and in others, and handles it in order afterwards", async () => {
    const sessions = withToken();
    sessions.authenticator.late.add("good");
    const peer = sessions.open();
    expect(peer.send(connectGood, [op.subscribe, 2, "a"], [op.ping, 3])).toEqual([]);
    // A real socket may hand over what it had read before it was paused.
    peer.session.receive(encode([op.publish, 4, "a", "first"]));
    peer.session.receive(Buffer.concat([encode([op.publish, 5, "a", "second"]), encode([op.ping, 6])]));
    expect([peer.connection.paused, peer.session.state]).toEqual([true, "authenticating"]);
    await sessions.authenticator.settle();
    const told = peer.take();
    expect(told.filter(([kind]) => kind === op.ok).map(([, ref]) => ref)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(told.filter(([kind]) => kind === op.message).map((message) => message[3])).toEqual(["first", "second"]);
    expect([peer.connection.paused, peer.session.state]).toEqual([false, "active"]);
  });

  test("keeps what comes behind a second check", async () => {
    const sessions = withToken();
    sessions.authenticator.known.set("next", identityOf({ tokenId: "t2" }));
    for (const token of ["good", "next"]) sessions.authenticator.late.add(token);
    const peer = sessions.open();
    peer.send(connectGood, [op.refresh, 2, "next"], [op.ping, 3]);
    peer.session.receive(encode([op.ping, 4]));
    await sessions.authenticator.settle();
    expect(peer.take().map(([, ref]) => ref)).toEqual([1]);
    expect(peer.connection.paused).toBe(true);
    await sessions.authenticator.settle();
    expect(peer.take().map(([, ref]) => ref)).toEqual([2, 3, 4]);
    expect(peer.connection.paused).toBe(false);
  });

  test("drops what was sent behind a refused op 1", async () => {
    const sessions = withToken();
    sessions.authenticator.late.add("bad");
    const peer = sessions.open();
    peer.send([op.connect, 1, { token: "bad" }], [op.ping, 2]);
    await sessions.authenticator.settle();
    expect(peer.take().map(([kind]) => kind)).toEqual([op.error, op.disconnect]);
  });

  test("may go, and the answer comes to nobody", async () => {
    const sessions = withToken({ connectionsMax: 1 });
    sessions.authenticator.late.add("good");
    const peer = sessions.open();
    peer.send(connectGood);
    peer.connection.drop();
    await sessions.authenticator.settle();
    expect([sessions.registry.size, peer.session.state]).toEqual([0, "closing"]);
    sessions.authenticator.late.clear();
    expect(sessions.open().send(connectGood)[0]?.[0]).toBe(op.ok);
  });
});

describe("what a client sends", () => {
  test.each([
    ["msgpack", "[9,1]"],
    ["json", encode([9, 1])],
  ] as const)("in the wrong kind of frame on the %s lane ends the session", (lane, frame) => {
    const peer = new Sessions().open({ lane });
    peer.connection.send(frame);
    expect(farewell(peer)).toBe(3505);
  });

  test("and is malformed ends the session at the third time within a minute", () => {
    const sessions = new Sessions();
    const peer = sessions.open();
    const malformed = Uint8Array.of(0xc1);
    expect(peer.sendFrame(malformed)[0]?.slice(0, 3)).toEqual([17, 0, 102]);
    peer.sendFrame(malformed);
    // Other errors are no strikes.
    peer.send([30, 1], [op.ping, -1]);
    expect(peer.closeCode).toBe(null);
    peer.sendFrame(malformed);
    expect(peer.closeCode).toBe(3501);
  });

  test("and is malformed is forgiven after a minute", () => {
    const sessions = new Sessions();
    const peer = sessions.open({ identity: identityOf() });
    for (let minute = 0; minute < 3; minute++) {
      peer.sendFrame(Uint8Array.of(0xc1));
      peer.sendFrame(Uint8Array.of(0xc1));
      for (let i = 0; i < 60; i++) sessions.advance(1000);
    }
    expect(peer.closeCode).toBe(null);
  });

  test("loses the rest of its frame where it is cut short, and what came before it holds", () => {
    const peer = new Sessions().open({ identity: identityOf() });
    const cut = encode([op.publish, 2, "a", "text"]);
    const frame = Buffer.concat([encode([op.ping, 1]), cut.subarray(0, cut.length - 1)]);
    expect(peer.sendFrame(frame).map((answer) => answer.slice(0, 3))).toEqual([
      [16, 1, {}],
      [17, 2, 102],
    ]);
  });

  test("and meets a bug is answered 100, and the rest of the frame is handled", () => {
    const sessions = new Sessions();
    const peer = sessions.open({ identity: identityOf() });
    sessions.hub.presence = () => {
      throw new TypeError("bug");
    };
    expect(peer.send([op.presence, 1, "a"], [op.ping, 2]).map((answer) => answer.slice(0, 3))).toEqual([
      [17, 1, 100],
      [16, 2, {}],
    ]);
    expect(sessions.log.of("request failed")).toHaveLength(1);
  });

  test("and breaks the reader loses its frame, and never hangs the server", () => {
    const sessions = new Sessions();
    const peer = sessions.open({ identity: identityOf() });
    const reader = sessions.registry.readers.msgpack;
    const { next } = reader;
    let calls = 0;
    reader.next = () => {
      if (++calls > 3) return null;
      throw new RangeError("bug");
    };
    expect(peer.send([op.ping, 1])).toEqual([]);
    expect(calls).toBe(1);
    reader.next = next;
    expect(peer.send([op.ping, 2])).toEqual([[16, 2, {}]]);
  });

  test("with ref 0 is answered only where it is refused: once per code and second, then with the number", () => {
    const sessions = new Sessions();
    const peer = sessions.open({ identity: identityOf() });
    const wrong = [op.publish, 0, "a/#", 1];
    expect(peer.send([op.publish, 0, "a", 1], [op.ping, 0], [op.subscribe, 0, "b"])).toEqual([]);
    expect(peer.send(wrong, wrong, [op.unsubscribe, 0, "x"], wrong)).toEqual([
      [17, 0, 108, "Not a valid tag"],
      [17, 0, 112, "Not subscribed to this pattern"],
    ]);
    expect(peer.send([op.publish, 7, "a/#", 1])).toEqual([[17, 7, 108, "Not a valid tag"]]);
    sessions.clock.advance(1000);
    expect(peer.take()).toEqual([[17, 0, 108, "Not a valid tag", 2]]);
    sessions.clock.advance(1000);
    expect(peer.take()).toEqual([]);
    expect(peer.send(wrong)).toEqual([[17, 0, 108, "Not a valid tag"]]);
  });

  // 2 MB of op 5 in one frame kept the server from everybody else for 30 seconds.
  test("is handled over many turns where it asks for much, in order, while others are answered between", () => {
    const rules = [{ ...liveOnly, pattern: "log/#", history: { size: 100 } }];
    const sessions = new Sessions({ rules });
    const greedy = sessions.open({ identity: identityOf() });
    const other = sessions.open({ identity: identityOf() });
    greedy.send([op.publish, 0, "log/a", "x".repeat(1000)]);
    const asked = Array.from({ length: 500 }, (_, i) => [op.history, i + 1, "log/a"]);
    greedy.connection.send(Buffer.concat(asked.map((message) => encode(message))));
    greedy.connection.send(encode([op.ping, 501]));
    other.connection.send(encode([op.ping, 1]));
    sessions.clock.runTurn();
    expect(other.received).toEqual([[16, 1, {}]]);
    expect(greedy.received.length).toBeLessThan(50);
    expect(greedy.connection.paused).toBe(true);
    sessions.turn();
    expect(greedy.received.map(([, ref]) => ref)).toEqual(Array.from({ length: 501 }, (_, i) => i + 1));
    expect(greedy.connection.paused).toBe(false);
  });

  // 300 pages asked for at once were pushed into the socket of a client that reads, past the hard mark: 1006.
  test("is not handled further while the answers so far are not taken", () => {
    const rules = [{ ...liveOnly, pattern: "log/#", history: { size: 1000 } }];
    const sessions = new Sessions({ rules });
    const client = sessions.open({ identity: identityOf() });
    for (let i = 0; i < 100; i++) client.send([op.publish, 0, "log/a", "x".repeat(1000)]);
    client.connection.stopReading();
    const asked = Array.from({ length: 300 }, (_, i) => [op.history, i + 1, "log/a"]);
    client.connection.send(Buffer.concat(asked.map((message) => encode(message))));
    sessions.turn();
    expect(client.connection.isOpen).toBe(true);
    expect(client.connection.bufferedBytes()).toBeLessThan(3 * 1024 * 1024);
    client.connection.read();
    sessions.turn();
    expect(client.received.map(([, ref]) => ref)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  });

  test("once the session is closing is ignored", () => {
    const sessions = withToken();
    const peer = sessions.open({ identity: identityOf() });
    const other = sessions.open({ identity: identityOf() });
    other.send([op.subscribe, 1, "a"]);
    peer.session.end({ code: 3004, name: "internal", text: "Internal error", retry: true });
    peer.session.receive(encode([op.publish, 1, "a", "too late"]));
    expect(other.take()).toEqual([]);
    expect(farewell(peer)).toBe(3004);
  });
});
