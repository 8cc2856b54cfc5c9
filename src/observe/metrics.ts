/**
 * Metrics in the text format of Prometheus. Nothing is counted here: what counts keeps plain numbers, which are read when
 * somebody asks. A registry of its own for each server of a process.
 */
import { Counter, Gauge, Registry, type Metric as PrometheusMetric } from "prom-client";
import type { Clock } from "../lib/clock.ts";
import type { Histogram } from "../lib/histogram.ts";
import { type BridgeNumbers, bridgeMetrics } from "./bridge-metrics.ts";
import { limitMetrics } from "./limit-metrics.ts";
import { LoopDelay } from "./loop-delay.ts";
import { commitMetric, storeMetrics, type StoreSources } from "./store-metrics.ts";
import { delayMetric, latencyMetric, type Metric, metricTable } from "./metric-table.ts";
import { portMetrics, type PortNumbers } from "./port-metrics.ts";
import type { Traffic } from "./traffic.ts";

type Counts<Name extends string> = Readonly<Record<Name, number>>;
type Lanes = Counts<"msgpack" | "json">;

export type SpaceFigure = "subscriptions" | "tags" | "positions" | "patternLevels" | "matches" | "tailBytes";

/** The numbers of the parts that count: as they are there, whatever else those parts are. */
export interface MetricSources {
  readonly version: string;
  readonly hub: {
    readonly distributor: {
      readonly counts: Counts<"frames" | "deferredFrames" | "droppedFrames">;
      readonly backlogBytes: number;
      readonly delivered: Lanes;
      readonly sentBytes: Lanes;
      /** By code. */
      readonly gaps: Readonly<Record<number, number>>;
    };
    readonly sinks: {
      readonly size: number;
      readonly delivered: Lanes;
      readonly counts: Counts<"slowDropped" | "conflated" | "trimmed" | "demoted" | "tooSlow">;
    };
    readonly publishing: { readonly counts: Counts<"messages" | "bytes" | "appended" | "repeated" | "refused"> };
    readonly subscriptions: { readonly count: number };
    readonly latency: Histogram;
    readonly slowSubscribers: number;
    readonly heldBack: number;
    figures(): Iterable<readonly [app: string, figures: Counts<SpaceFigure>]>;
    topicCounts(): Iterable<readonly [app: string, topics: number]>;
  };
  readonly registry: {
    readonly traffic: Traffic;
    readonly credentials: { readonly counts: Counts<"failures" | "throttled">; readonly guessing: number };
    readonly counts: Counts<"opened">;
    /** By reason. */
    readonly refusedFrames: Readonly<Record<string, number>>;
    readonly unread: Counts<"bytes" | "ended">;
    readonly pendingRequests: number;
    readonly heldBytes: number;
    readonly targetPlaces: { readonly used: number };
    /** By code. */
    readonly errorCounts: Readonly<Record<number, number>>;
    readonly endCounts: Readonly<Record<number, number>>;
    readonly rates: {
      /** By what there was too much of. */
      readonly slowedCounts: Readonly<Record<string, number>>;
      readonly refusedCounts: Readonly<Record<string, number>>;
      readonly told: number;
      readonly credentials: number;
    };
    [Symbol.iterator](): Iterator<{
      readonly identified: boolean;
      readonly identity: { readonly app: string };
      readonly transport: string;
      readonly lane: string;
    }>;
  };
  readonly admission: { readonly counts: Readonly<Record<string, number>>; readonly addresses: number };
  readonly port: PortNumbers;
  readonly doorway: { readonly origins: { readonly counts: Counts<"refused"> } };
  readonly audit: { readonly counts: Counts<"entries" | "failures"> };
  readonly bodies: {
    readonly bytes: number;
    /** By reason. */
    readonly refused: Readonly<Record<string, number>>;
  };
  readonly authenticator: { readonly cachedJwts: number };
  /** What the broker does not count, since it is kept elsewhere, is absent. */
  readonly broker: () => Partial<
    Counts<"logs" | "messages" | "bytes" | "idempotencyKeys" | "idempotencyKeysForgotten" | "members">
  >;
  /** Null: this instance is in no cluster. */
  readonly bridge: (() => BridgeNumbers) | null;
  /** Null: nothing is kept on disk. */
  readonly store: StoreSources | null;
}

export interface Metrics {
  readonly contentType: string;
  /** All metrics as they are now. */
  text(): Promise<string>;
  close(): void;
}

export function openMetrics(sources: MetricSources, clock: Clock): Metrics {
  const registry = new Registry();
  for (const metric of [...metricTable, ...limitMetrics, ...portMetrics]) register(registry, metric, sources);
  if (sources.bridge !== null) for (const metric of bridgeMetrics) register(registry, metric, sources);
  registry.registerMetric(histogramOf(latencyMetric, sources.hub.latency));
  if (sources.store !== null) {
    for (const metric of storeMetrics) register(registry, metric, sources);
    registry.registerMetric(histogramOf(commitMetric, sources.store.commitSeconds));
  }
  const delay = new LoopDelay(clock);
  registerDelay(registry, delay);
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    close: () => delay.close(),
  };
}

function register(registry: Registry, { name, type, labels, help, read }: Metric, sources: MetricSources): void {
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  const each = (set: (values: Record<string, string>, value: number) => void) => {
    const now = read(sources);
    for (const [values, value] of typeof now === "number" ? ([[[], now]] as const) : now) {
      set(Object.fromEntries(labels.map((label, i) => [label, values[i] ?? ""])), value);
    }
  };
  const metric: Counter | Gauge =
    type === "counter"
      ? new Counter({ ...options, collect: () => (metric.reset(), each((values, value) => metric.inc(values, value))) })
      : new Gauge({ ...options, collect: () => (metric.reset(), each((values, value) => metric.inc(values, value))) });
}

/** A histogram that somebody else fills: the library's own can only be filled value by value. */
function histogramOf(
  { name, help }: { readonly name: string; readonly help: string },
  values: Histogram,
): PrometheusMetric {
  const get = () => {
    let below = 0;
    const buckets = [...values.bounds, "+Inf"].map((le, i) => {
      below += values.counts[i] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le }, value: below };
    });
    const sum = { metricName: `${name}_sum`, labels: {}, value: values.sum };
    const count = { metricName: `${name}_count`, labels: {}, value: values.count };
    return Promise.resolve({ name, help, type: "histogram", values: [...buckets, sum, count] });
  };
  return { name, help, get } as unknown as PrometheusMetric;
}

function registerDelay(registry: Registry, delay: LoopDelay): void {
  const { name, help, quantiles } = delayMetric;
  const gauge: Gauge = new Gauge({
    name,
    help,
    labelNames: ["quantile"],
    registers: [registry],
    collect() {
      const delaysMs = delay.take(quantiles);
      for (const [i, quantile] of quantiles.entries()) {
        gauge.set({ quantile: String(quantile) }, (delaysMs[i] ?? 0) / 1000);
      }
    },
  });
}
