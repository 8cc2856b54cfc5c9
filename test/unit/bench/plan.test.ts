/** What the bench runs, in which order, and what makes it fail. */
import { describe, expect, test } from "bun:test";
import { parseArguments } from "../../../bench/measure/arguments.ts";
import { boundByDriver, wrongCounts, wrongIn } from "../../../bench/measure/correctness.ts";
import { type Contender, planCases, stepsOf } from "../../../bench/measure/plan.ts";
import { duration, RemainingTime } from "../../../bench/measure/remaining.ts";
import { type Progress, takeSamples } from "../../../bench/measure/samples.ts";
import type { Case, CaseContext, Workload } from "../../../bench/results.ts";
import { peerOf, sampleOf, tallyOf } from "./samples.ts";

const contender = (name: string): Contender => ({ name, peer: peerOf(name) });
const contenders = ["tagcast", "bun control", "nats"].map(contender);
const all = { workloads: [], cases: [], smoke: false };

const outcome = { serverSeconds: 1, residentBytes: 1, tally: null, figures: {} };
const item = (name: string, parts: Partial<Case> = {}): Case => ({
  name,
  peers: ["tagcast", "bun control", "mosquitto"],
  sample: () => Promise.resolve(outcome),
  ...parts,
});
const workload = (name: string, ...cases: readonly Case[]): Workload => ({ name, about: "", cases });
const workloads = [
  workload("fan-out", item("1→1"), item("1→100", { smoke: true })),
  workload("idle", item("all", { peers: ["nats"] })),
];
const names = (plan: ReturnType<typeof planCases>) =>
  plan.map(({ workload, case: { name }, contenders }) => [workload.name, name, contenders.map((one) => one.name)]);

describe("the plan", () => {
  test("has every case with those peers that are there and take part", () => {
    expect(names(planCases(workloads, all, contenders))).toEqual([
      ["fan-out", "1→1", ["tagcast", "bun control"]],
      ["fan-out", "1→100", ["tagcast", "bun control"]],
      ["idle", "all", ["nats"]],
    ]);
    expect(names(planCases(workloads, all, [contender("ws")]))).toEqual([]);
  });

  test("is narrowed by beginnings of workloads, parts of cases, and to the short form", () => {
    expect(names(planCases(workloads, { ...all, workloads: ["id"] }, contenders))).toHaveLength(1);
    expect(names(planCases(workloads, { ...all, cases: ["100", "al"] }, contenders))).toHaveLength(2);
    expect(names(planCases(workloads, { ...all, smoke: true }, contenders))).toEqual([
      ["fan-out", "1→100", ["tagcast", "bun control"]],
    ]);
  });

  test("gives every contender one turn a round, in the opposite order each round", () => {
    const [first] = planCases(workloads, all, contenders);
    const steps = first === undefined ? [] : stepsOf(first, 3);
    expect(steps.map(({ round, contender: { name } }) => `${round} ${name}`)).toEqual([
      "1 tagcast",
      "1 bun control",
      "2 bun control",
      "2 tagcast",
      "3 tagcast",
      "3 bun control",
    ]);
  });
});

describe("taking samples", () => {
  const options = { rounds: 2, scale: 0.5, deadlineMs: 10_000, signal: new AbortController().signal };
  const quiet: Progress = { begins() {}, failed: () => Promise.resolve(), caseEnded: () => Promise.resolve() };

  test("hands each case its peer, checkout and scale, and names what comes back", async () => {
    const contexts: CaseContext[] = [];
    const sample = (context: CaseContext) => Promise.resolve((contexts.push(context), outcome));
    const old = { ...contender("tagcast"), name: "tagcast@1", checkout: "/old" };
    const plan = planCases([workload("w", item("c", { sample }))], all, [contender("tagcast"), old]);
    const { samples, problems } = await takeSamples(plan, { ...options, rounds: 1 }, quiet);
    expect(samples.map(({ round, workload, case: name, peer, scale }) => [round, workload, name, peer, scale])).toEqual(
      [
        [1, "w", "c", "tagcast", 0.5],
        [1, "w", "c", "tagcast@1", 0.5],
      ],
    );
    expect(contexts.map(({ scale, checkout }) => [scale, checkout])).toEqual([
      [0.5, undefined],
      [0.5, "/old"],
    ]);
    expect(problems).toEqual([]);
  });

  test("goes on where a sample fails or does not come", async () => {
    const failing = item("failing", { sample: () => Promise.reject(new Error("Port taken")) });
    const hanging = item("hanging", { sample: () => new Promise(() => {}) });
    const plan = planCases([workload("w", failing, hanging, item("good"))], all, [contender("tagcast")]);
    const { samples, problems } = await takeSamples(plan, { ...options, rounds: 1, deadlineMs: 1 }, quiet);
    expect(problems.map(({ case: name, error }) => [name, error])).toEqual([
      ["failing", "Port taken"],
      ["hanging", "Not done after 0.001 s"],
    ]);
    expect(samples.map((sample) => sample.case)).toEqual(["good"]);
  });

  test("begins nothing after an interruption, and keeps what it has", async () => {
    const controller = new AbortController();
    const taken: string[] = [];
    const progress: Progress = {
      ...quiet,
      begins(step, nth, of) {
        taken.push(`${nth}/${of} ${step.contender.name}`);
        if (nth === 2) controller.abort();
      },
    };
    const plan = planCases(workloads, all, contenders);
    const { samples } = await takeSamples(plan, { ...options, signal: controller.signal }, progress);
    expect(taken).toEqual(["1/10 tagcast", "2/10 bun control"]);
    expect(samples).toHaveLength(1);
  });

  test("hands over the samples of a case once its rounds are through", async () => {
    const ended: [string, number, number][] = [];
    const progress: Progress = {
      ...quiet,
      caseEnded: (planned, samples, { samples: soFar }) =>
        Promise.resolve(void ended.push([planned.case.name, samples.length, soFar.length])),
    };
    await takeSamples(planCases(workloads, all, contenders), options, progress);
    expect(ended).toEqual([
      ["1→1", 4, 4],
      ["1→100", 4, 8],
      ["all", 2, 10],
    ]);
  });
});

test("the time left is what the same took before, and the average for what was not run yet", () => {
  const steps = planCases(workloads, all, contenders).flatMap((planned) => stepsOf(planned, 2));
  const remaining = new RemainingTime(steps);
  expect(remaining.left()).toBeNull();
  remaining.ended(10);
  remaining.ended(20);
  // The second round of both, and six that take 15 s on average.
  expect(remaining.left()).toBe(10 + 20 + 6 * 15);
  for (let i = 0; i < 8; i++) remaining.ended(1);
  expect(remaining.left()).toBe(0);
  expect([duration(12.1), duration(90), duration(3700)]).toEqual(["13 s", "2 min", "1 h 2 min"]);
});

describe("counts", () => {
  test("are right where everything arrived once and in order, whatever was told", () => {
    expect(wrongCounts(sampleOf())).toEqual([]);
    expect(wrongCounts(sampleOf({ tally: tallyOf({ delivered: 900, told: 100 }) }))).toEqual([]);
    expect(wrongCounts(sampleOf({ tally: null }))).toEqual([]);
  });

  test("are wrong where something is lost, doubled, reordered, refused, or nothing happened at all", () => {
    const wrong = (parts: Parameters<typeof tallyOf>[0]) => wrongCounts(sampleOf({ tally: tallyOf(parts) }));
    expect(wrong({ lost: 1, delivered: 999 })).toEqual(["1 lost"]);
    expect(wrong({ doubled: 2, reordered: 3 })).toEqual(["2 doubled", "3 reordered"]);
    expect(wrong({ failures: ["Denied"] })).toEqual(["1 failed, the first: Denied"]);
    expect(wrong({ published: 0, expected: 0, delivered: 0 })).toEqual(["nothing was published"]);
    expect(wrong({ delivered: 0 })).toEqual(["nothing was delivered"]);
    const slow = (peer: string) => wrongCounts(sampleOf({ peer, figures: { slowLostPercent: 2, slowToldPercent: 5 } }));
    expect([slow("tagcast"), slow("bun control")]).toEqual([["slowLostPercent 2"], []]);
  });

  test("make the bench fail for tagcast and the control alone, and not where a case is about loss", () => {
    const tally = tallyOf({ lost: 5 });
    const lossy = item("lossy", { lossy: ["bun control"], peers: ["tagcast", "bun control", "nats"] });
    const plan = planCases([workload("w", lossy)], all, contenders);
    const samples = contenders.map(({ name: peer }) => sampleOf({ workload: "w", case: "lossy", peer, tally }));
    expect(wrongIn(plan, { samples, problems: [] })).toEqual(["w: lossy: tagcast: 5 lost"]);
    const problem = { round: 1, workload: "w", case: "lossy", peer: "bun control", scale: 1, error: "Port taken" };
    expect(wrongIn(plan, { samples: [], problems: [problem] })).toEqual(["w: lossy: bun control: Port taken"]);
    expect(wrongIn(plan, { samples: [], problems: [problem, problem] })).toEqual([
      "w: lossy: bun control: Port taken (2 times)",
    ]);
  });

  test("name a driver that worked all the time", () => {
    expect(boundByDriver(sampleOf({ tally: tallyOf({ driverSeconds: 0.95 }) }))).toBe(true);
    expect(boundByDriver(sampleOf({ tally: tallyOf({ driverSeconds: 0.85 }) }))).toBe(false);
  });
});

describe("the command line", () => {
  test("has five rounds, more for a comparison, one for the short form", () => {
    expect(parseArguments([])).toMatchObject({ rounds: 5, scale: 1, workloads: [], peers: null, write: false });
    expect(parseArguments(["--against", "main"])).toMatchObject({ rounds: 9, against: "main" });
    expect(parseArguments(["--smoke"])).toMatchObject({ rounds: 1, scale: 0.02, smoke: true });
  });

  test("takes workloads, cases and peers", () => {
    const argv = ["fan", "idle", "--case", "64 B", "--case", "1→1", "--peers", "nats, ws", "--rounds", "2"];
    expect(parseArguments(argv)).toMatchObject({
      workloads: ["fan", "idle"],
      cases: ["64 B", "1→1"],
      peers: ["nats", "ws"],
      rounds: 2,
    });
  });

  test("asks for the cases of the goals, for the others, or for both", () => {
    const asked = (...argv: string[]) => parseArguments(argv).goals;
    expect([asked(), asked("--goals"), asked("--except-goals")]).toEqual(["too", "only", "not"]);
    expect(() => asked("--goals", "--except-goals")).toThrow("exclude");
  });

  test("is refused with the reason", () => {
    expect(() => parseArguments(["--rounds", "1.5"])).toThrow("--rounds is not a whole number");
    expect(() => parseArguments(["--scale", "0"])).toThrow("--scale is not a number above 0");
    expect(() => parseArguments(["--smoke", "--write"])).toThrow("exclude");
    expect(() => parseArguments(["--faster"])).toThrow("faster");
  });
});
