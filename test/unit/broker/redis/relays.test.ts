/** How live-only messages are gathered into calls while Redis is busy, and what becomes of them when it goes. */
import { expect, test } from "bun:test";
import { Calls } from "../../../../src/broker/redis/calls.ts";
import { Places } from "../../../../src/broker/redis/keys.ts";
import { Relays } from "../../../../src/broker/redis/relays.ts";
import type { Connection } from "../../../../src/broker/redis/servers/connection.ts";
import { FakeClock } from "../../../harness/clock.ts";

interface Call {
  readonly parts: number;
  readonly answer: PromiseWithResolvers<unknown>;
}

function open(isClustered = false) {
  const clock = new FakeClock();
  const places = new Places(1);
  const calls = new Calls({ instance: "12345678", slotLevels: 1, aheadMs: () => 0 });
  const made: Call[] = [];
  const run = (_script: unknown, _slot: unknown, [block]: readonly Buffer[]) => {
    const answer = Promise.withResolvers<unknown>();
    // Behind the header.
    made.push({ parts: (block as Buffer).readUInt16BE(46), answer });
    return answer.promise;
  };
  calls.use({ isClustered, run } as unknown as Connection);
  const relays = new Relays(calls, places, clock);
  const bytes = new Uint8Array(8);
  const turn = (...tags: string[]) => {
    for (const tag of tags) relays.relay("main", tag, { bytes, payloadLength: bytes.length });
    clock.runTurn();
  };
  const settled = async () => await new Promise(setImmediate);
  return { relays, calls, made, turn, settled };
}

const partsOf = (made: readonly Call[]) => made.map(({ parts }) => parts);

test("turns share a call while others are not answered, and it goes with the first answer", async () => {
  const { made, turn, settled } = open();
  turn("a");
  turn("b", "c");
  turn("d");
  turn("e", "d");
  expect(partsOf(made)).toEqual([1, 2]);
  made[0]?.answer.resolve(0);
  await settled();
  expect(partsOf(made)).toEqual([1, 2, 2]);
});

test("a full call does not wait for an answer", () => {
  const { made, turn } = open();
  turn("a");
  turn("b");
  turn(...Array.from({ length: 130 }, (_, i) => `t/${i}`));
  expect(partsOf(made)).toEqual([1, 1, 128]);
});

test("in a Cluster no server is waited for on behalf of another", () => {
  const { made, turn } = open(true);
  for (const tag of ["a", "b", "c", "d"]) turn(tag);
  expect(partsOf(made)).toEqual([1, 1, 1, 1]);
});

test("what waits when the connection is lost counts as dropped, and what stops is sent at once", async () => {
  const { relays, calls, made, turn, settled } = open();
  for (const tag of ["a", "b", "c"]) turn(tag);
  relays.flush();
  expect(partsOf(made)).toEqual([1, 1, 1]);
  turn("d");
  calls.use(null);
  for (const { answer } of made) answer.reject(new Error("lost"));
  await settled();
  expect([relays.counts.dropped, made.length]).toEqual([4, 3]);
});
