/** Batches that do not fit into one call, and calls that end differently or out of order. */
import { expect, test } from "bun:test";
import { errors } from "../../../../src/core/codes.ts";
import { Appends } from "../../../../src/broker/redis/appends.ts";
import { Calls } from "../../../../src/broker/redis/calls.ts";
import { Places } from "../../../../src/broker/redis/keys.ts";
import { OwnBatches } from "../../../../src/broker/redis/own-batches.ts";
import type { Connection } from "../../../../src/broker/redis/servers/connection.ts";
import { body, draft, main, roomy } from "../../../contract/broker/kit.ts";

/** Appends one batch of two calls, with two messages in the first; `end` is handed what settles each of them. */
async function appended(end: (calls: PromiseWithResolvers<unknown>[]) => void) {
  const runs: PromiseWithResolvers<unknown>[] = [];
  const calls = new Calls({ instance: "instance", slotLevels: 1, aheadMs: () => 0 });
  const run = () => {
    const answer = Promise.withResolvers<unknown>();
    runs.push(answer);
    return answer.promise;
  };
  calls.use({ isClustered: false, run } as unknown as Connection);
  const appends = new Appends({
    calls,
    places: new Places(1),
    own: new OwnBatches(() => false),
    idempotencyWindowMs: 1000,
  });
  const large = { body: body("x".repeat(200_000)), key: null };
  const answer = appends.append(true, [{ app: main, tag: "t", rule: roomy, drafts: [draft("a"), large, large] }]);
  expect(runs).toHaveLength(2);
  end(runs);
  return (await answer)[0]!;
}

/** Epoch 7, all of them new. */
function reply(first: number): Buffer {
  const bytes = Buffer.alloc(13);
  bytes.writeUInt32BE(7);
  bytes.writeDoubleBE(first, 5);
  return bytes;
}

const refusal = new Error("OOM command not allowed when used memory > 'maxmemory'");

test("positions are those of the messages, in whatever order the calls are answered", async () => {
  const { positions } = await appended(([first, second]) => {
    second!.resolve(reply(3));
    first!.resolve(reply(1));
  });
  expect(positions?.map(({ offset }) => offset)).toEqual([1, 2, 3]);
});

// Publishers were told that nothing was done, of messages that were in the log.
test("where only one of the calls was refused, the outcome of the batch is unknown", async () => {
  const ends: ((calls: PromiseWithResolvers<unknown>[]) => void)[] = [
    ([first, second]) => (first!.resolve(reply(1)), second!.reject(refusal)),
    ([first, second]) => (first!.reject(refusal), second!.resolve(reply(1))),
    ([first, second]) => (first!.reject(refusal), second!.reject(new Error("connection lost"))),
  ];
  for (const end of ends) expect((await appended(end)).error).toBe(errors.outcomeUnknown);
  const { error } = await appended((calls) => calls.forEach(({ reject }) => reject(refusal)));
  expect(error).toBe(errors.unavailable);
});
