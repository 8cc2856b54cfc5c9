/** Medians and intervals of the bench. */
import { describe, expect, test } from "bun:test";
import { intervalOf, median, spreadOf } from "../../../bench/report/statistics.ts";

test("median() is the middle, or the mean of the two in the middle", () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN]);
});

test("spreadOf() has median, ends and count, and is null of nothing", () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, count: 3 });
  expect(spreadOf([])).toBeNull();
});

describe("intervalOf()", () => {
  test("is null of nothing", () => {
    expect(intervalOf([], 0.99)).toBeNull();
  });

  test("reaches from the least to the greatest where few pairs allow no more", () => {
    // Of 2^5 patterns of signs one is all plus and one all minus.
    expect(intervalOf([1, 2, 3, 4, 5], 0.99)).toEqual({ estimate: 3, low: 1, high: 5, confidence: 1 - 2 / 32 });
  });

  test("leaves out as many means of pairs at each end as the tables of Wilcoxon's test allow", () => {
    // n = 10, 95 %: the critical value of the tables is 8, so the 9th of the 55 means at each end.
    const values = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
    const means = values.flatMap((a, i) => values.slice(i).map((b) => (a + b) / 2)).sort((a, b) => a - b);
    const found = intervalOf(values, 0.95);
    expect(means).toHaveLength(55);
    expect([found?.low, found?.high]).toEqual([means[8], means[46]]);
    expect(found?.confidence).toBeCloseTo(0.951, 3);
  });

  test("holds the true difference about as often as it says", () => {
    let seed = 7;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const noise = () => random() + random() + random() - 1.5;
    const trials = 2000;
    let held = 0;
    for (let i = 0; i < trials; i++) {
      const found = intervalOf(Array.from({ length: 9 }, noise), 0.95);
      if (found !== null && found.low <= 0 && found.high >= 0) held++;
    }
    expect(held / trials).toBeGreaterThan(0.93);
    expect(held / trials).toBeLessThan(0.985);
  });
});
