/** Connections counted together, while counts are told anew. */
import { expect, test } from "bun:test";
import { Calls } from "../../../../src/broker/redis/calls.ts";
import { RedisCounts } from "../../../../src/broker/redis/control/counts.ts";
import type { Connection } from "../../../../src/broker/redis/servers/connection.ts";
import { FakeClock } from "../../../harness/clock.ts";

// It was counted once as one of those that are here, and once more by itself, for as long as the instance lived.
test("a connection that is admitted after all were counted anew does not count twice", async () => {
  const clock = new FakeClock();
  const calls = new Calls({ instance: "instance", slotLevels: 1, aheadMs: () => 0 });
  const counts = new RedisCounts({ calls, clock, incarnation: () => "12345678" });
  counts.onRecount(() => [["key", 1]]);
  const said: string[] = [];
  const run = async (_script: unknown, _slot: unknown, args: readonly unknown[]) => {
    const what = String(args[3]);
    said.push(what);
    // First it is not known whether an instance that counts is alive.
    return what === "acquire" && said.length === 1 ? 1_700_000_000_000 : 1;
  };
  calls.use({ isClustered: false, run } as unknown as Connection);
  const admitted = counts.acquire("key", 5);
  await turn();
  await counts.recount();
  clock.advance(200);
  expect(await admitted).toBe(true);
  await counts.beat();
  expect(said).toEqual(["acquire", "recount", "acquire", "recount"]);
  await counts.beat();
  expect(said).toHaveLength(4);
});

/** Everything that waits for no time is done. */
const turn = () => new Promise((resolve) => setImmediate(resolve));
