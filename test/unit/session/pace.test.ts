/** How much of what one client asks for is done at a time: what it waits for, and that it goes on afterwards. */
import { expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { liveOnly } from "../../../src/core/tag-rule.ts";
import { op } from "../../../src/wire/messages.ts";
import { LaggingBroker } from "../../harness/lagging-broker.ts";
import { identityOf, Sessions, type SessionsOptions } from "../../harness/sessions.ts";

const rules = [{ ...liveOnly, pattern: "log/#", history: { size: 10 } }];

function lagging(options: SessionsOptions = {}) {
  let broker: LaggingBroker | null = null;
  const sessions = new Sessions({
    rules,
    ...options,
    broker: (memory) => (broker = new LaggingBroker(memory, { lateAnswers: true })),
  });
  return { sessions, broker: broker as unknown as LaggingBroker };
}

/** Lets promises go on, and what waits for them. */
async function settle(sessions: Sessions): Promise<void> {
  for (let i = 0; i < 10; i++) {
    await Promise.resolve();
    sessions.turn();
  }
}

test("a client with as many requests at the broker as it may have is not read from until some are answered", async () => {
  const { sessions, broker } = lagging({ requestsMax: 3 });
  const [peer, other] = [sessions.open({ identity: identityOf() }), sessions.open({ identity: identityOf() })];
  for (let ref = 1; ref <= 8; ref++) peer.send([op.history, ref, "log/a"]);
  expect([peer.session.pace.pending, peer.connection.paused, broker.held]).toEqual([3, true, 3]);
  expect(sessions.registry.pendingRequests).toBe(3);
  expect(other.send([op.ping, 9])).toEqual([[op.ok, 9, {}]]);
  broker.release(1);
  await settle(sessions);
  // One was answered, and one more was asked for.
  expect([peer.session.pace.pending, peer.take().map(([, ref]) => ref)]).toEqual([3, [1]]);
  while (broker.held > 0) {
    broker.release();
    await settle(sessions);
  }
  expect(peer.take().map(([, ref]) => ref)).toEqual([2, 3, 4, 5, 6, 7, 8]);
  expect([peer.session.pace.pending, peer.connection.paused]).toEqual([0, false]);
});

test("without a bound, all of them are asked for at once", () => {
  const { sessions, broker } = lagging();
  const peer = sessions.open({ identity: identityOf() });
  for (let ref = 1; ref <= 500; ref++) peer.send([op.history, ref, "log/a"]);
  expect([peer.session.pace.pending, broker.held]).toEqual([500, 500]);
});

test("a request that is refused at once does not count, nor one that ends with its subscription", async () => {
  const { sessions, broker } = lagging({ requestsMax: 2 });
  const peer = sessions.open({ identity: identityOf() });
  peer.send([op.history, 1, "live"], [op.subscribe, 2, "log/a"]);
  expect(peer.session.pace.pending).toBe(1);
  peer.send([op.unsubscribe, 3, "log/a"]);
  expect(peer.session.pace.pending).toBe(0);
  broker.release();
  await settle(sessions);
  expect(peer.session.pace.pending).toBe(0);
});

test("what came while a client is not read from is bounded: beyond it the client is told to go", () => {
  const { sessions } = lagging({ requestsMax: 1, heldMaxBytes: 1000 });
  const peer = sessions.open({ identity: identityOf() });
  peer.send([op.history, 1, "log/a"]);
  // What the runtime had read by then comes all the same.
  const receive = () => peer.session.receive(encode([op.publish, 0, "a", "x".repeat(600)]));
  receive();
  receive();
  expect([peer.session.heldBytes > 1000, sessions.registry.heldBytes, peer.closeCode]).toEqual([
    true,
    peer.session.heldBytes,
    null,
  ]);
  receive();
  expect(peer.closeCode).toBe(3005);
  expect(sessions.log.of("session ended")[0]?.fields).toMatchObject({ reason: "overloaded" });
});

test("who publishes more than can be sent waits, in the middle of a frame, until what waits has gone", () => {
  const sessions = new Sessions({ limits: { backlogMaxBytes: 16 * 1024 * 1024 } });
  const peer = sessions.open({ identity: identityOf() });
  for (let i = 0; i < 8; i++) peer.send([op.subscribe, 0, `${"+/".repeat(i)}#`]);
  const reader = sessions.open({ identity: identityOf() });
  const message = [op.publish, 0, "a/b/c/d/e/f/g/h/i", "x".repeat(200_000)] as const;
  const published = () => sessions.hub.publishing.counts.messages;
  // In one frame, without the end of a turn.
  peer.connection.send(frameOf(Array.from({ length: 12 }, () => message)));
  expect(published()).toBeLessThan(12);
  expect([sessions.hub.heldBack, peer.connection.paused, reader.connection.paused]).toEqual([1, true, false]);
  expect(sessions.log.of("publisher held back: more is published than can be sent")).toHaveLength(1);
  for (let i = 0; i < 100; i++) sessions.turn();
  expect([published(), sessions.hub.distributor.backlogBytes, peer.connection.paused]).toEqual([12, 0, false]);
  expect(sessions.hub.distributor.counts.droppedFrames).toBe(0);
});

function frameOf(messages: readonly (readonly unknown[])[]): Uint8Array {
  return Buffer.concat(messages.map((message) => encode(message)));
}
