/** The age of what a store holds, over restarts of the process and of the machine, and under clocks that jump. */
import { describe, expect, test } from "bun:test";
import { AgeClock, ageAtStart, systemUptime } from "../../../../src/broker/sqlite/age.ts";
import { FakeClock } from "../../../harness/clock.ts";

const hourMs = 3_600_000;
const wallMs = 1_700_000_000_000;
const started = { ageMs: 1000, wallMs, uptime: { boot: "a", ms: 50_000 } };

describe("ageAtStart()", () => {
  test("begins at nothing", () => {
    expect(ageAtStart(null, null, { wallMs, uptime: { boot: "a", ms: 5 } })).toBe(0);
  });

  test.each([0, 400 * 24 * hourMs, -400 * 24 * hourMs])(
    "in one run of the machine is what its uptime tells, the wall clock %d ms off",
    (jumpMs) => {
      const now = { wallMs: wallMs + 60_000 + jumpMs, uptime: { boot: "a", ms: 110_000 } };
      expect(ageAtStart(started, null, now)).toBe(61_000);
    },
  );

  test("after the machine was off is what the wall clock tells", () => {
    const now = { wallMs: wallMs + hourMs, uptime: { boot: "b", ms: 20_000 } };
    expect(ageAtStart(started, null, now)).toBe(1000 + hourMs);
    expect(ageAtStart(started, { ageMs: 31_000, wallMs: wallMs + 30_000 }, now)).toBe(31_000 + hourMs - 30_000);
  });

  test("after the machine was off and its wall clock went back is no less than it was, and than the machine has run", () => {
    const now = { wallMs: 0, uptime: { boot: "b", ms: 20_000 } };
    expect(ageAtStart(started, { ageMs: 31_000, wallMs: wallMs + 30_000 }, now)).toBe(51_000);
  });

  test("goes by the wall clock where runs of the machine are not told apart, and never back", () => {
    const now = { wallMs: wallMs + 5000, uptime: { boot: "", ms: 999_999_999 } };
    const unknown = { ...started, uptime: { boot: "", ms: 0 } };
    expect(ageAtStart(unknown, null, now)).toBe(6000);
    expect(ageAtStart(unknown, { ageMs: 90_000, wallMs: wallMs + 9000 }, now)).toBe(90_000);
  });
});

test("an AgeClock goes on from a start, whatever the wall clock does", () => {
  const clock = new FakeClock();
  clock.advance(777.7);
  const age = new AgeClock(clock, 5000.2);
  const from = age.nowMs();
  expect(from).toBeGreaterThanOrEqual(5000);
  clock.advance(1000);
  clock.jumpWall(-hourMs);
  expect(age.nowMs() - from).toBe(1000);
});

test("the uptime of this machine grows, in one run of it", () => {
  const [first, second] = [systemUptime(), systemUptime()];
  expect(first.boot).toBe(second.boot);
  expect(second.ms).toBeGreaterThanOrEqual(first.ms);
});
