/** Several processes of tagcast on one port, for machines with several cores. */
import type { Case, Workload } from "../results.ts";
import { jointSample } from "./cluster.ts";
import { onStage, publishers, subscribers } from "./stage.ts";
import { onOnePort } from "./who.ts";

const inFlight = 512;

interface Crowd {
  readonly name: string;
  readonly publishing: number;
  readonly listening: number;
  readonly tags: readonly (readonly string[])[];
  readonly receivers: number;
  readonly smoke?: boolean;
}

function crowd({ name, publishing, listening, tags, receivers, smoke = false }: Crowd): Case {
  return {
    name: `${name}, 64 B, ${inFlight} in flight`,
    peers: onOnePort,
    smoke,
    sample: (context) =>
      onStage(context, { connections: publishing + listening }, async (stage) => {
        await stage.connect(subscribers, listening, tags);
        await stage.connect(publishers, publishing, []);
        return jointSample(stage, await stage.measure({ tags, pace: { inFlight }, receivers }));
      }),
  };
}

const pairTags = Array.from({ length: 1000 }, (_, i) => [`live/pair/${i}`]);

export const processes: Workload = {
  name: "processes",
  about: `One process; the same with a Redis; and two processes on one port that a Redis joins, among which the kernel deals the
connections out: with 1,000 pairs, publisher and subscriber of every other pair are in different processes. *Sender* is all
processes of tagcast together. The load process takes a core of its own: on a machine with two cores two processes and Redis
share the other one, and can be no faster than one process there. What they cost each other is seen all the same: CPU time per
message and per delivery.`,
  byCase: true,
  cases: [
    crowd({ name: "1→1,000", publishing: 1, listening: 1000, tags: [["live/fan"]], receivers: 1000 }),
    crowd({ name: "1,000 pairs", publishing: 1000, listening: 1000, tags: pairTags, receivers: 1, smoke: true }),
  ],
};
