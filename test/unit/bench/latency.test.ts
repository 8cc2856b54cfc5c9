/** Quantiles of times, from counts by size. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LatencyHistogram } from "../../../bench/load/latency.ts";

function recorded(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

describe("LatencyHistogram", () => {
  test("says zero where nothing was recorded", () => {
    expect(recorded([]).summary()).toEqual({ mean: 0, p50: 0, p99: 0, p999: 0, max: 0 });
  });

  test("is at a quantile never below what was recorded there, and 1/32 above it at most", () => {
    const times = fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 10_000_000 }), fc.nat({ max: 2 ** 31 - 1 }));
    const quantiles = fc.constantFrom(0.01, 0.5, 0.9, 0.99, 0.999, 1);
    fc.assert(
      fc.property(fc.array(times, { minLength: 1, maxLength: 300 }), quantiles, (values, quantile) => {
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.ceil(quantile * sorted.length) - 1]!;
        const said = recorded(values).quantile(quantile);
        expect(said).toBeGreaterThanOrEqual(exact);
        expect(said).toBeLessThanOrEqual(exact * (1 + 1 / 32));
      }),
    );
  });

  test("knows the largest and the mean exactly", () => {
    const { max, mean } = recorded([1, 2, 99_999]).summary();
    expect(max).toBe(99_999);
    expect(mean).toBe(100_002 / 3);
  });

  test("takes a clock that went back for no time, and half an hour for the longest", () => {
    expect(recorded([-5]).summary().max).toBe(0);
    expect(recorded([1e15]).summary().max).toBe(2 ** 31 - 1);
  });
});
