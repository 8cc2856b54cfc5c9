/** What one client that does not read does to all others. */
import type { Case, Workload } from "../results.ts";
import { onStage, type Stage, publishers, subscribers } from "./stage.ts";
import { everyone } from "./who.ts";

const tag = "live/fan";
const receivers = 99;
const payloadBytes = 4096;
const slow = "slow";
const run = { tags: [[tag]], payloadBytes, pace: { inFlight: 64 }, receivers };

const without: Case = {
  name: "99 that read",
  peers: everyone,
  sample: (context) =>
    onStage(context, { connections: receivers + 1 }, async (stage) => {
      await connect(stage);
      return stage.sample(await stage.measure(run));
    }),
};

const beside: Case = {
  name: "99 that read and one that does not",
  peers: everyone,
  smoke: true,
  sample: (context) =>
    onStage(context, { connections: receivers + 2 }, async (stage) => {
      await connect(stage);
      await stage.connect(slow, 1, [[tag]]);
      // All read while the server warms up.
      await stage.count({ ...run, receivers: receivers + 1, seconds: stage.scaled(1, 0.2) });
      await stage.driver.send({ do: "read", group: slow, reading: false });
      const measured = await stage.count(run);
      const sample = stage.sample(measured);
      const { tally } = await stage.driver.send({ do: "read", group: slow, reading: true });
      if (tally === undefined) throw new Error("Nothing is known of the one that did not read");
      const share = (count: number) => (100 * count) / Math.max(1, tally.expected);
      const figures = {
        slowDeliveredPercent: share(tally.delivered),
        slowToldPercent: share(tally.told),
        slowLostPercent: share(tally.lost),
      };
      return { ...sample, figures };
    }),
};

async function connect(stage: Stage): Promise<void> {
  await stage.connect(subscribers, receivers, [[tag]]);
  await stage.connect(publishers, 1, []);
}

export const slowSubscriber: Workload = {
  name: "slow-subscriber",
  about: `99 subscribers that read, 4 KiB, 64 in flight, without and with one more that reads nothing while the run lasts.
Afterwards it reads again: how much it then got, how much it was told that it missed, and how much it lost without a word.
Counts and CPU are of the 99; the memory is that of the server while the one does not read.`,
  cases: [without, beside],
};
