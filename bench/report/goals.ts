/** What tagcast is to reach, and what a run says about it: ratios of the same round, medians over the rounds. */
import type { Results, Sample } from "../results.ts";
import { factor, fraction, quantity, range } from "./format.ts";
import { cpuPerDelivery, cpuPerPublish, figure, type Metric, p99, type Unit } from "./metrics.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import { control, pairsBetween, type Place, ratioBetween, samplesOf, spread } from "./summary.ts";

export interface Goal {
  /** What is measured; with `goal` the key of its note. */
  readonly work: string;
  readonly goal: string;
  readonly limit: number;
  /** The limit is the least; else the most. */
  readonly atLeast?: boolean;
  /** What is divided by what. */
  readonly ratio?: { readonly metric: Metric; readonly above: Place; readonly below: Place };
  /** Where it is no ratio. */
  readonly measure?: {
    /** The cases that it is read off. */
    readonly at: readonly Omit<Place, "peer">[];
    /** Null where the run has nothing to say. */
    readonly of: (results: Results) => Measured | null;
  };
}

export interface Measured {
  readonly value: number;
  readonly text: string;
  readonly rounds: number;
}

const subject = "tagcast";
const fanOut = (name: string) => ({ workload: "fan-out", case: name });
const saturated100 = fanOut("1→100, 64 B, 512 in flight");
const saturated1000 = fanOut("1→1,000, 64 B, 512 in flight");
const paced1000 = fanOut("1→1,000, 64 B, 100 msg/s");
const single = fanOut("1→1, 64 B, 512 in flight");

const idle = { workload: "idle", case: "18,900 connections, one subscription each" };
const cluster = (name: string) => ({ workload: "cluster", case: name });
const hotTag = cluster("live, 1→1, 64 B, 32,768 in flight, 64 publishes per frame");
const manyTags = cluster("live, 10,000 tags, 64 B, 4,096 in flight, 16 publishes per frame");
const joined = { one: "tagcast redis", two: "tagcast cluster" };

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
    work: "p99 latency of 100 pairs beside one client that floods",
    goal: "≤ 1.5 × without it",
    limit: 1.5,
    ratio: {
      metric: p99,
      above: { workload: "flood", case: "100 pairs, 1,000 msg/s, and a client that floods", peer: subject },
      below: { workload: "flood", case: "100 pairs, 1,000 msg/s", peer: subject },
    },
  },
  {
    work: "memory of an idle connection, authenticated, one subscription",
    goal: "≤ 3.5 kB",
    limit: 3500,
    measure: {
      at: [idle],
      of: ({ samples }) => said(spread(at(samples, idle), subject, figure("bytesPerConnection")), "B"),
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
  {
    work: "one live tag through one Redis, two instances, 64 publishes per frame",
    goal: "≥ 1 M messages a second",
    limit: 1e6,
    atLeast: true,
    measure: {
      at: [hotTag],
      of({ samples, machine }) {
        const own = at(samples, hotTag);
        const found = said(spread(own, joined.two, figure("messagesPerSecond")), "per second");
        return found === null ? null : { ...found, text: `${found.text}; ${busiest(own, joined.two, machine.cores)}` };
      },
    },
  },
  {
    work: "10,000 live tags, what Redis adds to a message on the instance that sends it",
    goal: "≤ 1.5 µs of CPU",
    limit: 1500,
    measure: {
      at: [manyTags],
      of({ samples }) {
        const metric = figure("senderCpuPerMessageNs");
        const [above, below] = [joined.one, subject].map((peer) => ({ ...manyTags, peer })) as [Place, Place];
        const added = spreadOf(pairsBetween(samples, metric, above, below).map(([a, b]) => a - b));
        const found = said(added, "ns");
        const whole = spread(at(samples, manyTags), joined.two, metric);
        if (found === null || whole === null) return found;
        return { ...found, text: `${found.text}; all that the sender of two takes: ${quantity(whole.median, "ns")}` };
      },
    },
  },
];

/** Whether a case is one that a goal is read off. */
export function isGoalCase(place: Omit<Place, "peer">): boolean {
  return goals.some((goal) => placesOf(goal).some((one) => one.workload === place.workload && one.case === place.case));
}

/** The cases that a goal is read off. */
export function placesOf({ ratio, measure }: Goal): readonly Omit<Place, "peer">[] {
  return ratio === undefined ? (measure?.at ?? []) : [ratio.above, ratio.below];
}

export function isMet({ limit, atLeast = false }: Goal, { value }: Measured): boolean {
  return atLeast ? value >= limit : value <= limit;
}

/** What the run says; null: nothing. */
export function measured({ ratio, measure, limit }: Goal, results: Results): Measured | null {
  if (measure !== undefined) return measure.of(results);
  if (ratio === undefined) return null;
  const found: Spread | null = ratioBetween(results.samples, ratio.metric, ratio.above, ratio.below);
  if (found === null) return null;
  const text = limit < 0.1 ? fraction : factor;
  return { value: found.median, text: `${text(found.median)} (${range(found, text)})`, rounds: found.count };
}

function said(found: Spread | null, unit: Unit): Measured | null {
  if (found === null) return null;
  const text = (value: number) => quantity(value, unit);
  return { value: found.median, text: `${text(found.median)} (${range(found, text)})`, rounds: found.count };
}

/** Who had the most to do, and how much of the machine all of them together: what the bottleneck was. */
function busiest(samples: readonly Sample[], peer: string, cores: number): string {
  const shares = ["sender", "receiver", "redis", "driver"].map((who) => ({
    who,
    percent: spread(samples, peer, figure(`${who}BusyPercent`))?.median ?? 0,
  }));
  const [first] = shares.toSorted((a, b) => b.percent - a.percent);
  const all = shares.reduce((sum, { percent }) => sum + percent, 0);
  const most = first === undefined ? "" : `busiest: ${first.who}, ${Math.round(first.percent)} % of a core; `;
  return `${most}all with the load process: ${(all / 100).toFixed(1)} of ${cores} cores`;
}

function at(samples: readonly Sample[], place: Omit<Place, "peer">): readonly Sample[] {
  return samplesOf(samples, place.workload, place.case);
}
