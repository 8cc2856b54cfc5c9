/** What tagcast is to reach, and what a run says about it: ratios of the same round, medians over the rounds. */
import type { Results } from "../results.ts";
import { factor, fraction, quantity, range } from "./format.ts";
import { cpuPerDelivery, cpuPerPublish, figure, type Metric, p99 } from "./metrics.ts";
import type { Spread } from "./statistics.ts";
import { control, type Place, ratioBetween, spread } from "./summary.ts";

export interface Goal {
  /** What is measured; with `goal` the key of its note. */
  readonly work: string;
  readonly goal: string;
  readonly limit: number;
  /** What is divided by what. */
  readonly ratio?: { readonly metric: Metric; readonly above: Place; readonly below: Place };
  /** Where it is no ratio: null where the run has nothing to say. */
  readonly measure?: (results: Results) => Measured | null;
}

export interface Measured {
  readonly value: number;
  readonly text: string;
}

const subject = "tagcast";
const fanOut = (name: string) => ({ workload: "fan-out", case: name });
const saturated100 = fanOut("1→100, 64 B, 512 in flight");
const saturated1000 = fanOut("1→1,000, 64 B, 512 in flight");
const paced1000 = fanOut("1→1,000, 64 B, 100 msg/s");
const single = fanOut("1→1, 64 B, 512 in flight");

const against = (metric: Metric, place: Omit<Place, "peer">, peer: string) => ({
  metric,
  above: { ...place, peer: subject },
  below: { ...place, peer },
});

const saturated = [
  { work: "1→100, 512 in flight, per delivery", place: saturated100 },
  { work: "1→1,000, 512 in flight, per delivery", place: saturated1000 },
];
const others = [
  { peer: "nats", goal: "≤ 0.30 × NATS (stretch 0.20)", limit: 0.3 },
  { peer: "mosquitto", goal: "≤ 1/50 of Mosquitto", limit: 1 / 50 },
  { peer: "socket.io", goal: "≤ 1/80 of Socket.IO", limit: 1 / 80 },
  { peer: "ws", goal: "≤ 1/50 of `ws` on Node", limit: 1 / 50 },
];

export const goals: readonly Goal[] = [
  ...saturated.map(({ work, place }) => ({
    work,
    goal: `≤ 0.35 × ${control}`,
    limit: 0.35,
    ratio: against(cpuPerDelivery, place, control),
  })),
  {
    work: "1→1,000, 64 in flight, per delivery",
    goal: `≤ 0.65 × ${control}`,
    limit: 0.65,
    ratio: against(cpuPerDelivery, fanOut("1→1,000, 64 B, 64 in flight"), control),
  },
  {
    work: "1→100 at 1,000 msg/s, per delivery",
    goal: `≤ 0.95 × ${control}`,
    limit: 0.95,
    ratio: against(cpuPerDelivery, fanOut("1→100, 64 B, 1,000 msg/s"), control),
  },
  {
    work: "1→1,000 at 100 msg/s, per delivery",
    goal: `≤ 0.95 × ${control}`,
    limit: 0.95,
    ratio: against(cpuPerDelivery, paced1000, control),
  },
  {
    work: "1→1, 512 in flight, per message",
    goal: `≤ 1.25 × ${control}`,
    limit: 1.25,
    ratio: against(cpuPerPublish, single, control),
  },
  {
    work: "1,000 pairs on 1,000 tags, per message",
    goal: `≤ 1.15 × ${control}`,
    limit: 1.15,
    ratio: against(cpuPerPublish, { workload: "pairs", case: "1,000 pairs, 64 B, 512 in flight" }, control),
  },
  ...saturated.flatMap(({ work, place }) =>
    others.map(({ peer, goal, limit }) => ({ work, goal, limit, ratio: against(cpuPerDelivery, place, peer) })),
  ),
  {
    work: "1→1, 512 in flight, per message",
    goal: "no worse than NATS",
    limit: 1,
    ratio: against(cpuPerPublish, single, "nats"),
  },
  {
    work: "log-backed tag with acknowledgements, 1→100, per delivery",
    goal: "≤ 1.5 × the live tag",
    limit: 1.5,
    ratio: {
      metric: cpuPerDelivery,
      above: { workload: "log", case: "log-backed, 1→100, 64 B, 512 in flight", peer: subject },
      below: { workload: "log", case: "live, 1→100, 64 B, 512 in flight", peer: subject },
    },
  },
  {
    work: "p99 latency at 1,000 subscribers × 100 msg/s",
    goal: `≤ 1.1 × ${control}`,
    limit: 1.1,
    ratio: against(p99, paced1000, control),
  },
  {
    work: "memory of an idle connection, authenticated, one subscription",
    goal: "≤ 3.5 kB",
    limit: 3500,
    measure: ({ samples }) => {
      const text = (value: number) => quantity(value, "B");
      const idle = samples.filter(({ workload }) => workload === "idle");
      const found = spread(idle, subject, figure("bytesPerConnection"));
      return found === null ? null : { value: found.median, text: `${text(found.median)} (${range(found, text)})` };
    },
  },
  {
    work: "1 of 100,000 names, one wildcard subscription beside them, per message",
    goal: "≤ 1.3 × without",
    limit: 1.3,
    ratio: {
      metric: cpuPerPublish,
      above: { workload: "wildcards", case: "1 of 100,000 names, and a wildcard elsewhere", peer: subject },
      below: { workload: "wildcards", case: "1 of 100,000 names", peer: subject },
    },
  },
];

/** What the run says; null: nothing. */
export function measured({ ratio, measure, limit }: Goal, results: Results): Measured | null {
  if (measure !== undefined) return measure(results);
  if (ratio === undefined) return null;
  const found: Spread | null = ratioBetween(results.samples, ratio.metric, ratio.above, ratio.below);
  if (found === null) return null;
  const text = limit < 0.1 ? fraction : factor;
  return { value: found.median, text: `${text(found.median)} (${range(found, text)})` };
}
