/** Two versions of tagcast, and what the bench says about their difference. */
import { describe, expect, test } from "bun:test";
import { compare, comparisonSummary, comparisonText } from "../../../bench/report/comparison.ts";
import { cpuPerDelivery, deliveriesPerSecond, residentBytes } from "../../../bench/report/metrics.ts";
import { rounds, sampleOf, tallyOf } from "./samples.ts";

const before = "tagcast@1234567";
const after = "tagcast";
/** What the machine does to both alike, and what it does to each. */
const drift = [100, 140, 95, 180, 120, 105, 150, 98, 133];
const noise = [1, 0.99, 1.02, 0.98, 1.01, 1, 0.97, 1.03, 1];

const both = (ratio: number) => [
  ...rounds(before, drift),
  ...rounds(
    after,
    drift.map((ns, i) => ns * ratio * (noise[i] ?? 1)),
  ),
  ...rounds("bun control", drift),
];

describe("compare()", () => {
  test("sees a small difference through what moves both sides alike", () => {
    const found = compare(both(0.93), cpuPerDelivery, before, after);
    expect(found?.verdict).toBe("faster");
    expect(found?.ratio).toBeCloseTo(0.93, 2);
    expect(found?.high).toBeLessThan(1);
    expect(compare(both(1.08), cpuPerDelivery, before, after)?.verdict).toBe("slower");
  });

  test("finds no difference between a version and itself", () => {
    expect(compare(both(1), cpuPerDelivery, before, after)?.verdict).toBe("no difference larger than the noise");
  });

  test("does not make much of a difference too small to matter", () => {
    const steady = [
      ...rounds(before, drift),
      ...rounds(
        after,
        drift.map((ns) => ns * 0.995),
      ),
    ];
    expect(compare(steady, cpuPerDelivery, before, after)?.verdict).toBe("no difference larger than the noise");
  });

  test("says so where there are too few rounds", () => {
    const few = both(0.5).filter(({ round }) => round <= 3);
    expect(compare(few, cpuPerDelivery, before, after)?.verdict).toBe("too few rounds to tell");
  });

  test("knows which direction is better, and calls memory smaller or larger", () => {
    const slower = drift
      .map((_, i) => i + 1)
      .flatMap((round) => [
        sampleOf({ round, peer: before, residentBytes: 50e6 }),
        sampleOf({ round, peer: after, residentBytes: 40e6, tally: tallyOf({ seconds: 2 }) }),
      ]);
    expect(compare(slower, deliveriesPerSecond, before, after)?.verdict).toBe("slower");
    expect(compare(slower, residentBytes, before, after)?.verdict).toBe("smaller");
  });

  test("looks at rounds that have both alone", () => {
    const samples = both(0.93).filter(({ peer, round }) => peer !== after || round !== 2);
    expect(compare(samples, cpuPerDelivery, before, after)?.rounds).toBe(8);
    expect(compare(rounds(after, drift), cpuPerDelivery, before, after)).toBeNull();
  });
});

test("comparisonText() has before, after, change and interval, and the control beside", () => {
  const text = comparisonText(both(0.93), before, after);
  expect(text).toMatch(/^server CPU per delivery +120 ns +\d+ ns +−7\.\d % +−\d.* … −\d.* % \(99 %\) +faster$/m);
  expect(text).toContain("server CPU per delivery of the bun control in the same rounds: 120 ns (95.0 ns – 180 ns)");
});

test("comparisonSummary() names what differs, or says that nothing does", () => {
  expect(comparisonSummary(both(0.93), before, after)).toMatch(
    /^faster: fan-out, 1→1, 64 B, 512 in flight: server CPU per delivery −7\.\d %$/,
  );
  expect(comparisonSummary(both(1), before, after)).toBe("No difference larger than the noise");
  expect(comparisonSummary(rounds(after, drift), before, after)).toMatch(/nothing was compared$/);
});
