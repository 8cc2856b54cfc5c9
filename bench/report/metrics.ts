/** What is read off a sample: each figure with its name, its unit, and which direction is better. */
import type { Sample } from "../results.ts";

export type Unit = "ns" | "µs" | "ms" | "s" | "B" | "per second" | "%" | "";

export interface Metric {
  readonly name: string;
  readonly title: string;
  readonly unit: Unit;
  readonly better: "lower" | "higher";
  /** In `unit`; null where the sample does not say. */
  of(sample: Sample): number | null;
}

export const cpuPerDelivery: Metric = {
  name: "cpuPerDelivery",
  title: "server CPU per delivery",
  unit: "ns",
  better: "lower",
  of: ({ serverSeconds, tally }) => ratio(serverSeconds * 1e9, tally?.delivered),
};

export const cpuPerPublish: Metric = {
  name: "cpuPerPublish",
  title: "server CPU per publish",
  unit: "ns",
  better: "lower",
  of: ({ serverSeconds, tally }) => ratio(serverSeconds * 1e9, tally?.published),
};

export const deliveriesPerSecond: Metric = {
  name: "deliveriesPerSecond",
  title: "deliveries per second",
  unit: "per second",
  better: "higher",
  of: ({ tally }) => (tally === null || tally.delivered === 0 ? null : ratio(tally.delivered, tally.seconds)),
};

const latency = (key: "p50" | "p99" | "p999" | "max", title: string): Metric => ({
  name: key,
  title: `latency ${title}`,
  unit: "µs",
  better: "lower",
  of: ({ tally }) => (tally === null || tally.delivered === 0 ? null : tally.latency[key]),
});

export const p50 = latency("p50", "p50");
export const p99 = latency("p99", "p99");
export const p999 = latency("p999", "p99.9");
export const latencyMax = latency("max", "max");

export const residentBytes: Metric = {
  name: "residentBytes",
  title: "memory",
  unit: "B",
  better: "lower",
  of: ({ residentBytes }) => (residentBytes > 0 ? residentBytes : null),
};

/** What every sample with messages has. */
export const messageMetrics: readonly Metric[] = [
  cpuPerDelivery,
  cpuPerPublish,
  deliveriesPerSecond,
  p50,
  p99,
  p999,
  latencyMax,
  residentBytes,
];

/** What workloads measure beside, by the name that they gave it: the unit and the direction are read off the name. */
export function figure(name: string): Metric {
  const unit = unitOf(name);
  const better = unit === "per second" || /(saved|delivered)/i.test(name) ? "higher" : "lower";
  return { name, title: words(name), unit, better, of: ({ figures }) => figures[name] ?? null };
}

/** What the workload measures beside, in its order. */
export function figuresOf(samples: readonly Sample[]): readonly Metric[] {
  return [...new Set(samples.flatMap(({ figures }) => Object.keys(figures)))].map(figure);
}

/** Metrics that at least one of the samples has: those of the workload, then those of messages. */
export function metricsOf(samples: readonly Sample[]): readonly Metric[] {
  const candidates = [...figuresOf(samples), ...messageMetrics];
  return candidates.filter((metric) => samples.some((sample) => metric.of(sample) !== null));
}

function unitOf(name: string): Unit {
  if (/percent$/i.test(name)) return "%";
  if (/persecond/i.test(name)) return "per second";
  if (/[nN]anos|Ns(?![a-z])/.test(name)) return "ns";
  if (/[mM]icros|Us(?![a-z])/.test(name)) return "µs";
  if (/Ms(?![a-z])/.test(name)) return "ms";
  if (/bytes/i.test(name)) return "B";
  return /seconds/i.test(name) ? "s" : "";
}

/** `bytesPerConnection` → `bytes per connection`, `responseMs` → `response`, `cpuPerClientNs` → `server CPU per client`, `redisCpuPerMessageNs` → `Redis CPU per message`. */
function words(name: string): string {
  const bare = name.replace(/(Ms|Ns|Us|Percent)$/, "").replace("Nanos", "");
  const spaced = bare.replace(
    /([a-z\d])([A-Z])/g,
    (_, before: string, after: string) => `${before} ${after.toLowerCase()}`,
  );
  return spaced
    .replace(/^cpu /, "server CPU ")
    .replace(" cpu ", " CPU ")
    .replace(/^redis /, "Redis ");
}

function ratio(above: number, below: number | undefined): number | null {
  return below === undefined || below === 0 ? null : above / below;
}
