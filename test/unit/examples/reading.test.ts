/** What the page of examples/browser makes of payloads. */
import { expect, test } from "bun:test";
import { format, readingOf } from "../../../examples/browser/reading.ts";

test("a number is a reading of now, and a map with a value tells the rest itself", () => {
  expect(readingOf(1.5, 1000)).toEqual({ value: 1.5, time: 1000, unit: "", max: null });
  expect(readingOf({ value: 3 }, 1000)).toEqual({ value: 3, time: 1000, unit: "", max: null });
  const whole = { value: 3, time: 7, unit: "%", max: 100 };
  expect(readingOf(whole, 1000)).toEqual(whole);
});

test.each([[null], [undefined], ["3"], [[]], [{}], [{ value: "3" }], [new Uint8Array(2)]])(
  "%p is no reading",
  (payload) => {
    expect(readingOf(payload, 1000)).toBeNull();
  },
);

test.each([
  [0, "%", "0.00 %"],
  [12.345, "%", "12.3 %"],
  [100, "%", "100 %"],
  [12_345, "", "12345 "],
  [999, "B", "999 B"],
  [1000, "B", "1.00 kB"],
  [2_345_678, "B/s", "2.35 MB/s"],
  [5e15, "B", "5000 TB"],
] as const)("%p of unit %p is shown as %p", (value, unit, shown) => {
  expect(format(value, unit).join(" ")).toBe(shown);
});
