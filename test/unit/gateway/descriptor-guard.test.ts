import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { connectionBound } from "../../../src/gateway/descriptors.ts";
import { DescriptorGuard, descriptorMarks, openDescriptors } from "../../../src/gateway/descriptor-guard.ts";
import { FakeClock } from "../../harness/clock.ts";
import { KeptLog } from "../../harness/server.ts";

/** A port that says what is done to it, and a number of descriptors that is set. */
function stage(marks = { high: 100, low: 90 }) {
  const clock = new FakeClock();
  const log = new KeptLog();
  const state = { open: 10 as number | null, looks: 0, listening: true };
  const open = () => {
    state.looks++;
    return state.open;
  };
  const guard = new DescriptorGuard({ marks, limit: 110, clock, log, open, reserved: 0 });
  guard.guard({
    get listening() {
      return state.listening;
    },
    pause: () => void (state.listening = false),
    resume: () => void (state.listening = true),
  });
  return { clock, log, state, guard };
}

describe("DescriptorGuard", () => {
  test("stops listening at the high mark, and listens again at the low one", () => {
    const { clock, log, state, guard } = stage();
    state.open = 99;
    clock.advance(1000);
    expect(guard.listening).toBe(true);
    state.open = 100;
    clock.advance(250);
    expect([guard.listening, guard.counts.pauses]).toEqual([false, 1]);
    state.open = 91;
    clock.advance(5000);
    expect(guard.listening).toBe(false);
    state.open = 90;
    clock.advance(250);
    expect([guard.listening, guard.counts.pauses]).toEqual([true, 1]);
    expect(log.entries).toMatchObject([
      { level: "warn", fields: { open: 100, mark: 100, limit: 110 } },
      { level: "warn", fields: { open: 90 } },
    ]);
  });

  test("listens again after a second at the earliest: a flood does not make it change with every look", () => {
    const { clock, state, guard } = stage();
    state.open = 100;
    clock.advance(250);
    state.open = 50;
    clock.advance(900);
    expect(guard.listening).toBe(false);
    clock.advance(250);
    expect(guard.listening).toBe(true);
  });

  test("looks more often where many are open", () => {
    const { clock, state } = stage();
    const looksIn = (ms: number) => {
      const before = state.looks;
      clock.advance(ms);
      return state.looks - before;
    };
    expect(looksIn(1000)).toBe(4);
    state.open = 51;
    looksIn(1000);
    expect(looksIn(1000)).toBe(50);
    state.open = 10;
    looksIn(1000);
    expect(looksIn(1000)).toBe(4);
  });

  test("does nothing where there is no mark, or the system does not tell", () => {
    const { clock, guard } = stage({ high: 0, low: 0 });
    expect([clock.timers, guard.listening]).toEqual([0, true]);
    const unknown = new DescriptorGuard({
      ...{ marks: { high: 100, low: 90 }, limit: null, clock, log: new KeptLog() },
      open: () => null,
    });
    unknown.guard({ listening: true, pause() {}, resume() {} });
    expect(clock.timers).toBe(0);
  });

  test("leaves no timer behind", () => {
    const { clock, guard } = stage();
    guard.close();
    expect(clock.timers).toBe(0);
  });

  test("holds descriptors in reserve, which are free while nobody listens", () => {
    const clock = new FakeClock();
    const unheld = openDescriptors() ?? 0;
    let extra = 0;
    const open = () => (openDescriptors() ?? 0) - unheld + extra;
    const guard = new DescriptorGuard({
      ...{ marks: { high: 100, low: 90 }, limit: 110, clock, log: new KeptLog() },
      ...{ open, reserved: 5 },
    });
    guard.guard({ listening: true, pause() {}, resume() {} });
    expect(open()).toBe(5);
    extra = 100;
    clock.advance(250);
    expect(open()).toBe(100);
    extra = 0;
    clock.advance(2000);
    expect(open()).toBe(5);
    guard.close();
    expect(open()).toBe(0);
  });
});

describe("descriptorMarks()", () => {
  test.each([256, 512, 1024, 20_000, 1_048_576])(
    "leave a full server room to say that it is, and the process room for its own, of %p",
    (limit) => {
      const { high, low } = descriptorMarks(null, limit);
      expect(low).toBeGreaterThan(connectionBound(0, limit) + 64);
      expect(high).toBeGreaterThan(low);
      expect(limit - high).toBeGreaterThanOrEqual(8);
    },
  );

  test("can be set, and switched off", () => {
    expect(descriptorMarks(200, 512)).toEqual({ high: 200, low: 197 });
    expect(descriptorMarks(0, 512)).toEqual({ high: 0, low: 0 });
    expect(descriptorMarks(null, null)).toEqual({ high: 0, low: 0 });
  });

  test("a mark that is never reached is refused", () => {
    expect(() => descriptorMarks(512, 512)).toThrow(
      "descriptors-max is 512, but only 512 file descriptors are allowed: raise the limit (ulimit -n) or lower the setting",
    );
  });
});

describe("openDescriptors()", () => {
  test("counts one more with each file that is opened", () => {
    const before = openDescriptors() ?? 0;
    const files = Array.from({ length: 20 }, () => openSync("/dev/null", "r"));
    const during = openDescriptors() ?? 0;
    for (const file of files) closeSync(file);
    expect(during - before).toBe(20);
  });
});
