/** Two versions of tagcast, measured in alternation: by how much they differ, and whether that is more than the noise. */
import type { Sample } from "../results.ts";
import { change, factor, quantity, range, textTable } from "./format.ts";
import { cpuPerPublish, latencyMax, type Metric, metricsOf, p999 } from "./metrics.ts";
import { intervalOf } from "./statistics.ts";
import { casesOf, control, pairs, ratioOf, samplesOf, spread } from "./summary.ts";

export type Verdict =
  "faster" | "slower" | "smaller" | "larger" | "no difference larger than the noise" | "too few rounds to tell";

export interface Comparison {
  readonly metric: Metric;
  readonly rounds: number;
  readonly before: number;
  readonly after: number;
  /** After ÷ before: estimate, and the interval in which it lies. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  readonly confidence: number;
  readonly verdict: Verdict;
}

/** One in a hundred comparisons of a version with itself may say that it differs. */
const confidence = 0.99;
/** Below it even the widest interval says little. */
const confidenceMin = 0.9;
/** A difference too small to care for, however certain. */
const ratioMin = 1.01;

/** Those that say the same as another, and those that one unlucky message decides, are left out. */
function comparedMetrics(samples: readonly Sample[]): readonly Metric[] {
  const left: readonly Metric[] = [cpuPerPublish, p999, latencyMax];
  return metricsOf(samples).filter((metric) => !left.includes(metric));
}

/** Compares a metric of one case in the rounds that have both; null where there is none. */
export function compare(samples: readonly Sample[], metric: Metric, before: string, after: string): Comparison | null {
  const both = pairs(samples, metric, after, before).filter(([value]) => value > 0);
  const interval = intervalOf(
    both.map(([a, b]) => Math.log(a / b)),
    confidence,
  );
  const old = spread(samples, before, metric);
  const fresh = spread(samples, after, metric);
  if (interval === null || old === null || fresh === null) return null;
  const [ratio, low, high] = [Math.exp(interval.estimate), Math.exp(interval.low), Math.exp(interval.high)];
  return {
    metric,
    rounds: both.length,
    before: old.median,
    after: fresh.median,
    ratio,
    low,
    high,
    confidence: interval.confidence,
    verdict: verdictOf(metric, { ratio, low, high, confidence: interval.confidence }),
  };
}

function verdictOf(
  metric: Metric,
  { ratio, low, high, confidence }: Pick<Comparison, "ratio" | "low" | "high" | "confidence">,
): Verdict {
  if (confidence < confidenceMin) return "too few rounds to tell";
  const differs = low > 1 || high < 1;
  if (!differs || (ratio < ratioMin && ratio > 1 / ratioMin)) return "no difference larger than the noise";
  if (metric.unit === "B") return ratio < 1 ? "smaller" : "larger";
  return ratio < 1 === (metric.better === "lower") ? "faster" : "slower";
}

/** Text of the comparison of one case, with the control's own spread beside. */
export function comparisonText(samples: readonly Sample[], before: string, after: string): string {
  const rows = comparedMetrics(samples)
    .map((metric) => compare(samples, metric, before, after))
    .filter((found) => found !== null)
    .map(row);
  const [metric] = metricsOf(samples);
  const lines = [textTable([["", "before", "after", "change", "interval", "verdict"], ...rows])];
  const steady = metric === undefined ? null : spread(samples, control, metric);
  if (metric !== undefined && steady !== null) {
    lines.push(
      `${metric.title} of the ${control} in the same rounds: ${quantity(steady.median, metric.unit)} ` +
        `(${range(steady, (value) => quantity(value, metric.unit))}); × control before ` +
        `${factor(ratioOf(samples, metric, before, control)?.median)}, after ` +
        factor(ratioOf(samples, metric, after, control)?.median),
    );
  }
  return lines.join("\n");
}

/** Every difference that is larger than the noise, one a line; says so where there is none. */
export function comparisonSummary(samples: readonly Sample[], before: string, after: string): string {
  const lines: string[] = [];
  let compared = 0;
  for (const workload of new Set(samples.map((sample) => sample.workload))) {
    for (const name of casesOf(samplesOf(samples, workload))) {
      const own = samplesOf(samples, workload, name);
      for (const metric of comparedMetrics(own)) {
        const found = compare(own, metric, before, after);
        if (found !== null) compared++;
        if (found !== null && !found.verdict.includes(" ")) {
          lines.push(`${found.verdict}: ${workload}, ${name}: ${metric.title} ${change(found.ratio)}`);
        }
      }
    }
  }
  if (compared === 0) return "No round has both versions: nothing was compared";
  return lines.length === 0 ? "No difference larger than the noise" : lines.join("\n");
}

function row({ metric, before, after, ratio, low, high, confidence, verdict }: Comparison): readonly string[] {
  return [
    metric.title,
    quantity(before, metric.unit),
    quantity(after, metric.unit),
    change(ratio),
    `${change(low)} … ${change(high)} (${Math.round(confidence * 100)} %)`,
    verdict,
  ];
}
