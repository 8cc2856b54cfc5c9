/** Samples of one case, peer by peer: medians over the rounds, and ratios to the control of the same round. */
import { boundByDriver, countNotes } from "../measure/correctness.ts";
import type { Sample } from "../results.ts";
import { type Metric, cpuPerDelivery, metricsOf } from "./metrics.ts";
import { factor, quantity, range } from "./format.ts";
import { spreadOf, type Spread } from "./statistics.ts";

export const control = "bun control";
const order = [
  "tagcast",
  "tagcast redis",
  "tagcast cluster",
  "tagcast processes",
  control,
  "nats",
  "mosquitto",
  "mosquitto-tcp",
  "ws",
  "aedes",
  "socket.io",
  "socket.io-redis",
];

/** In the order of the report: tagcast, the control, then the others. */
export function peersOf(samples: readonly Sample[]): readonly string[] {
  const rank = (peer: string) => {
    const place = order.findIndex((name) => peer === name || peer.startsWith(`${name}@`));
    return place === -1 ? order.length : place;
  };
  return [...new Set(samples.map(({ peer }) => peer))].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

export function casesOf(samples: readonly Sample[]): readonly string[] {
  return [...new Set(samples.map((sample) => sample.case))];
}

export function spread(samples: readonly Sample[], peer: string, metric: Metric): Spread | null {
  const values = samples.filter((sample) => sample.peer === peer).map((sample) => metric.of(sample));
  return spreadOf(values.filter((value) => value !== null));
}

/** Median and spread of the ratios round by round; null where no round has both. */
export function ratioOf(samples: readonly Sample[], metric: Metric, above: string, below: string): Spread | null {
  return spreadOf(pairs(samples, metric, above, below).map(([a, b]) => a / b));
}

/** Values of the two peers in each round that has both; `below` is never 0. */
export function pairs(
  samples: readonly Sample[],
  metric: Metric,
  above: string,
  below: string,
): readonly (readonly [above: number, below: number])[] {
  const found: [number, number][] = [];
  for (const sample of samples) {
    if (sample.peer !== above) continue;
    const partner = samples.find(
      (other) =>
        other.peer === below &&
        other.round === sample.round &&
        other.case === sample.case &&
        other.workload === sample.workload,
    );
    const value = metric.of(sample);
    const base = partner === undefined ? null : metric.of(partner);
    if (value !== null && base !== null && base > 0) found.push([value, base]);
  }
  return found;
}

/** One peer at one case. */
export interface Place {
  readonly workload: string;
  readonly case: string;
  readonly peer: string;
}

/** As `ratioOf`, of any two. */
export function ratioBetween(samples: readonly Sample[], metric: Metric, above: Place, below: Place): Spread | null {
  return spreadOf(pairsBetween(samples, metric, above, below).map(([a, b]) => a / b));
}

/** As `pairs`, of any two. */
export function pairsBetween(
  samples: readonly Sample[],
  metric: Metric,
  above: Place,
  below: Place,
): readonly (readonly [above: number, below: number])[] {
  const found: [number, number][] = [];
  const under = samples.filter((sample) => isAt(sample, below));
  for (const sample of samples) {
    if (!isAt(sample, above)) continue;
    const partner = under.find(({ round }) => round === sample.round);
    const value = metric.of(sample);
    const base = partner === undefined ? null : metric.of(partner);
    if (value !== null && base !== null && base > 0) found.push([value, base]);
  }
  return found;
}

function isAt(sample: Sample, place: Place): boolean {
  return sample.peer === place.peer && sample.case === place.case && sample.workload === place.workload;
}

/** What is to be said of a peer's samples: messages lost and the like (median over the rounds that have it), a driver at its limit. */
export function notesOf(samples: readonly Sample[], peer: string): string {
  const own = samples.filter((sample) => sample.peer === peer);
  const worst = own.reduce<Sample | null>((found, sample) => {
    return countNotes(sample).length > 0 && (found === null || badness(sample) > badness(found)) ? sample : found;
  }, null);
  const notes = worst === null ? [] : [`${countNotes(worst).join(", ")} of ${worst.tally?.expected ?? 0}`];
  if (own.some(boundByDriver)) {
    notes.push(`driver-bound in ${own.filter(boundByDriver).length} of ${own.length} rounds`);
  }
  return notes.join("; ");
}

function badness({ tally }: Sample): number {
  if (tally === null) return 0;
  return tally.lost * 1e6 + tally.doubled * 1e3 + tally.reordered + tally.told + tally.failures.length;
}

/** The figure that a case is about. */
export function leadingMetric(samples: readonly Sample[]): Metric {
  return metricsOf(samples)[0] ?? cpuPerDelivery;
}

/** Header and rows, one per peer: every figure as the median of the rounds. */
export function caseTable(samples: readonly Sample[]): readonly (readonly string[])[] {
  const metrics = metricsOf(samples).toSorted((a, b) => Number(b === cpuPerDelivery) - Number(a === cpuPerDelivery));
  const [leading = cpuPerDelivery, ...rest] = metrics;
  const header = ["peer", leading.title, "min–max", "× control", "min–max", ...rest.map(({ title }) => title), "notes"];
  const rows = peersOf(samples).map((peer) => {
    const value = spread(samples, peer, leading);
    const ratio = ratioOf(samples, leading, peer, control);
    return [
      peer,
      quantity(value?.median, leading.unit),
      range(value, (x) => quantity(x, leading.unit)),
      factor(ratio?.median),
      range(ratio, factor),
      ...rest.map((metric) => quantity(spread(samples, peer, metric)?.median, metric.unit)),
      notesOf(samples, peer),
    ];
  });
  return [header, ...rows];
}

export function samplesOf(samples: readonly Sample[], workload: string, name?: string): readonly Sample[] {
  return samples.filter((sample) => sample.workload === workload && (name === undefined || sample.case === name));
}
