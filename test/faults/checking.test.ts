/** The checker itself: it finds what it is there to find, and lets pass what the protocol allows. */
import { describe, expect, test } from "bun:test";
import { createRandom } from "../harness/random.ts";
import type { Fault } from "./faults.ts";
import { LiveView } from "./live.ts";
import { LogView } from "./log-view.ts";
import { describeStep, longPlan, rollingPlan, shortPlan } from "./plan.ts";
import { FaultTimes, TagTruth } from "./truth.ts";
import { Verdict } from "./verdict.ts";

function stage() {
  const verdict = new Verdict();
  const faults = new FaultTimes();
  const truth = new TagTruth("t", verdict, faults);
  const view = (name = "anna") => {
    const created = new LogView(name, truth, verdict);
    created.begin(7, 0);
    return created;
  };
  const verify = (one: LogView) => one.verify(truth.due(Infinity), ({ issuedMs }) => faults.lossySince(issuedMs));
  const acknowledge = (n: number, epoch: number, offset: number) =>
    truth.acknowledged(n, { epoch, offset }, performance.now());
  return { verdict, faults, truth, view, verify, acknowledge };
}

describe("Of a log the checker accepts", () => {
  test("messages one behind the other, and an epoch that goes on from the one before", () => {
    const { verdict, view, verify, acknowledge } = stage();
    const anna = view();
    for (const n of [1, 2, 3]) acknowledge(n * 10, 7, n);
    anna.message(10, 1, null);
    anna.message(20, 2, 7);
    anna.resume(8, true);
    anna.gap({ from: null, to: 2, code: 203, epoch: 8 });
    anna.message(30, 3, 8);
    expect(verify(anna)).toBe(0);
    expect(verdict.violations).toEqual([]);
  });

  test("a loss that was possible and told, and the same message again behind it", () => {
    const { verdict, faults, view, verify, acknowledge } = stage();
    const anna = view();
    anna.message(10, 1, null);
    acknowledge(10, 7, 1);
    acknowledge(20, 7, 2);
    faults.lossy().end();
    anna.gap({ from: null, to: 0, code: 203, epoch: 9 });
    anna.message(30, 1, null);
    anna.message(10, 2, null);
    expect(verify(anna)).toBe(1);
    expect(verdict.violations).toEqual([]);
  });
});

describe("Of a log the checker finds", () => {
  const cases: readonly [what: string, act: (on: ReturnType<typeof stage>) => void, found: string][] = [
    [
      "a hole",
      ({ view }) => {
        const anna = view();
        anna.message(10, 1, null);
        anna.message(30, 3, null);
      },
      "not told of what is missing",
    ],
    [
      "a double",
      ({ view }) => {
        const anna = view();
        anna.message(10, 1, null);
        anna.message(10, 1, null);
      },
      "got 1 twice or late",
    ],
    [
      "a message that was appended twice",
      ({ view }) => {
        const anna = view();
        anna.message(10, 1, null);
        anna.message(10, 2, null);
      },
      "t has 10 twice",
    ],
    [
      "two orders",
      ({ view }) => {
        view("anna").message(10, 1, null);
        view("bert").message(20, 1, null);
      },
      "is 20 for bert, 10 for others",
    ],
    [
      "a position that the publisher was told and nobody else",
      ({ view, acknowledge }) => {
        view().message(10, 1, null);
        acknowledge(20, 7, 1);
      },
      "is 20 for its publisher, 10 for others",
    ],
    [
      "an acknowledged message that never came",
      ({ view, verify, acknowledge }) => {
        acknowledge(10, 7, 1);
        verify(view());
      },
      "never got 10, acknowledged as 7:1, and was not told",
    ],
    [
      "a loss that was told but not possible",
      ({ view, verify, acknowledge }) => {
        const anna = view();
        acknowledge(10, 7, 1);
        anna.gap({ from: null, to: 0, code: 203, epoch: 9 });
        verify(anna);
      },
      "lost 10, acknowledged as 7:1, where nothing may be lost",
    ],
    [
      "another epoch that only the answer to a position told of",
      ({ view }) => {
        const anna = view();
        anna.message(10, 1, null);
        anna.resume(9, true);
        anna.message(20, 2, 9);
      },
      "before the gap",
    ],
    [
      "a message before the gap that was announced",
      ({ view }) => {
        const anna = view();
        anna.resume(9, false);
        anna.message(10, 1, null);
      },
      "before the gap",
    ],
    [
      "an epoch that began untold",
      ({ view }) => {
        view().message(10, 1, 9);
      },
      "epoch 9 untold",
    ],
  ];
  for (const [what, act, found] of cases) {
    test(what, () => {
      const on = stage();
      act(on);
      expect(on.verdict.count).toBe(1);
      expect(on.verdict.violations[0]).toContain(found);
    });
  }
});

describe("Of tags without a log the checker", () => {
  const sent = () => ({ tag: "l", connection: 1, seq: 1, instance: 0, issuedMs: performance.now() });

  test("finds a message that never came, untold", () => {
    const verdict = new Verdict();
    const view = new LiveView("anna", verdict);
    view.confirmed();
    view.verify([sent()], new FaultTimes());
    expect(verdict.violations[0]).toContain("l 1/1 of instance 0 never came, untold");
  });

  test("accepts one that was told, and one of an instance that was away", () => {
    const verdict = new Verdict();
    const faults = new FaultTimes();
    const view = new LiveView("anna", verdict);
    view.confirmed();
    const first = sent();
    view.gap();
    expect(view.verify([first], faults)).toEqual({ expected: 1, told: 1, unknowable: 0 });
    faults.away(0);
    expect(view.verify([sent()], faults)).toEqual({ expected: 1, told: 0, unknowable: 1 });
    expect(verdict.count).toBe(0);
  });

  test("finds an order that is not the publisher's", () => {
    const verdict = new Verdict();
    const view = new LiveView("anna", verdict);
    view.confirmed();
    view.message("l", 1, 2);
    view.message("l", 1, 1);
    expect(verdict.violations[0]).toContain("l brought 1/1 after 2");
  });
});

describe("A plan", () => {
  const fault = (name: string, scope: Fault["scope"], holdMs = 100): Fault => ({
    name,
    scope,
    isLossy: false,
    holdMs,
    holdMaxMs: holdMs,
    inject: () => Promise.resolve(() => {}),
  });
  const faults = [
    fault("instance restarted in order", "instance"),
    fault("paused", "instance", 10_000),
    fault("cut", "instance", 10_000),
    fault("hung", "redis"),
  ];
  const text = (seed: number) => longPlan(faults, 3, 50, createRandom(seed)).map(describeStep);

  test("is the same for the same seed", () => {
    expect(text(1)).toEqual(text(1));
    expect(text(1)).not.toEqual(text(2));
  });

  test("in its short form has each fault once, those that take long at one time at different instances", () => {
    const steps = shortPlan(faults, 3, createRandom(3));
    expect(
      steps
        .flat()
        .map(({ fault: one }) => one.name)
        .toSorted(),
    ).toEqual(faults.map(({ name }) => name).toSorted());
    const long = steps.find((step) => step.length > 1);
    expect(long?.map(({ fault: one }) => one.name).toSorted()).toEqual(["cut", "paused"]);
    expect(new Set(long?.map(({ target }) => target)).size).toBe(2);
  });

  test("in its long form has at least as many as asked for, and never two of Redis at one time", () => {
    const steps = longPlan(faults, 3, 50, createRandom(4));
    expect(steps.flat().length).toBeGreaterThanOrEqual(50);
    for (const step of steps) expect(step.filter(({ fault: one }) => one.scope === "redis").length).toBeLessThan(2);
  });

  test("of a rolling restart ends each instance once", () => {
    expect(rollingPlan(faults, 3).map(([one]) => one?.target)).toEqual([0, 1, 2]);
  });
});
