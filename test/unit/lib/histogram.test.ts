/** The histogram: every value is in one class, the smallest that holds it. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Histogram } from "../../../src/lib/histogram.ts";

test("a value on a bound belongs to it, one beyond all bounds to the last class", () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 5, 6]) histogram.observe(value);
  expect(histogram.counts).toEqual([2, 2, 1, 1]);
  expect([histogram.count, histogram.sum]).toEqual([6, 15.5]);
});

test("a value that occurred several times counts as often", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(5))), (values) => {
      const once = new Histogram([3, 9]);
      const often = new Histogram([3, 9]);
      for (const [value, times] of values) {
        often.observe(value, times);
        for (let i = 0; i < times; i++) once.observe(value);
      }
      expect(often).toEqual(once);
    }),
  );
});
