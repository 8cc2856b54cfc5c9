/** What the bench makes of the results of a run: the pages of the report, the plots, the file itself. */
import { describe, expect, test } from "bun:test";
import { goals, isGoalCase, isMet, measured, placesOf } from "../../../bench/report/goals.ts";
import { cpuPerDelivery, figure, metricsOf } from "../../../bench/report/metrics.ts";
import { plotsOf } from "../../../bench/report/plots.ts";
import { readme, tables } from "../../../bench/report/readme.ts";
import { inOrder, joinResults, parseResults, resultsText } from "../../../bench/report/store.ts";
import { peersOf, ratioOf } from "../../../bench/report/summary.ts";
import { change, count, digits, factor, fraction, quantity, textTable } from "../../../bench/report/format.ts";
import type { Case, Sample } from "../../../bench/results.ts";
import { workloads } from "../../../bench/workloads/workloads.ts";
import { resultsOf, rounds, sampleOf, tallyOf } from "./samples.ts";

const texts = {
  peers: [
    { name: "tagcast", about: "This server." },
    { name: "bun control", about: "A bare server." },
    { name: "nats", about: "NATS." },
    { name: "aedes", about: "Never asked for." },
  ],
  workloads: [
    { name: "fan-out", about: "One publisher, many subscribers." },
    { name: "paper-c", about: "Sensors." },
    { name: "idle", about: "Connections that do nothing." },
  ],
};

const saturated = "1→100, 64 B, 512 in flight";
const anyCase: Case = { name: "", peers: [], sample: () => Promise.reject(new Error("Never taken")) };
const pacedCase = "1→1,000, 64 B, 100 msg/s";
const fanOut = [
  ...rounds("tagcast", [30, 36, 90], { case: saturated }),
  ...rounds("bun control", [100, 100, 300], { case: saturated }),
  ...rounds("tagcast", [50, 50, 50], { case: pacedCase }),
  ...rounds("bun control", [60, 60, 60], { case: pacedCase }),
  ...rounds("tagcast", [10, 10, 10]),
];

describe("numbers", () => {
  test("have three digits and a unit that suits their size", () => {
    expect([quantity(1234, "ns"), quantity(0.5, "ms"), quantity(2, "s"), quantity(3456, "B")]).toEqual([
      "1.23 µs",
      "500 µs",
      "2.00 s",
      "3.46 kB",
    ]);
    expect([quantity(999.9, "ns"), quantity(1_234_567, "per second"), quantity(null, "B")]).toEqual([
      "1.00 µs",
      "1.23 M/s",
      "–",
    ]);
    expect([digits(0), digits(0.0123), digits(123.4), count(12_345), count(999_600)]).toEqual([
      "0",
      "0.0123",
      "123",
      "12.3 k",
      "1.00 M",
    ]);
  });

  test("of ratios say which way", () => {
    expect([factor(0.347), factor(1.049), factor(40.2), factor(0.0123), factor(null)]).toEqual([
      "×0.35",
      "×1.05",
      "×40",
      "×0.012",
      "–",
    ]);
    expect([fraction(1 / 56.2), change(0.9), change(1.055)]).toEqual(["1/56", "−10 %", "+5.5 %"]);
  });

  test("of figures take unit and direction from their name", () => {
    const names = [
      "bytesPerConnection",
      "connectionsPerSecond",
      "responseMs",
      "errorPercent",
      "bytesSavedPercent",
      "cpuPerClientNs",
      "redisCpuPerMessageNs",
    ];
    expect(names.map(figure).map(({ title, unit, better }) => [title, unit, better])).toEqual([
      ["bytes per connection", "B", "lower"],
      ["connections per second", "per second", "higher"],
      ["response", "ms", "lower"],
      ["error", "%", "lower"],
      ["bytes saved", "%", "higher"],
      ["server CPU per client", "ns", "lower"],
      ["Redis CPU per message", "ns", "lower"],
    ]);
  });

  test("that no sample has are left out", () => {
    expect(metricsOf([sampleOf({ tally: null, figures: { waits: 1 } })]).map(({ name }) => name)).toEqual([
      "waits",
      "residentBytes",
    ]);
  });

  test("stand under one another in a table of text", () => {
    expect(
      textTable([
        ["peer", "µs"],
        ["a", "10.0"],
      ]),
    ).toBe("peer    µs\na     10.0");
  });
});

test("ratios are those of the same round, not of medians", () => {
  // 0.3, 0.36, 0.3: the third round was slow for both.
  const own = fanOut.filter((sample) => sample.case === saturated);
  expect(ratioOf(own, cpuPerDelivery, "tagcast", "bun control")?.median).toBeCloseTo(0.3, 9);
});

test("peers stand in the order of the report, versions of tagcast first", () => {
  const names = ["zeta", "aedes", "bun control", "tagcast cluster", "tagcast redis", "tagcast@123", "tagcast", "nats"];
  expect(peersOf(names.map((peer) => sampleOf({ peer })))).toEqual([
    "tagcast",
    "tagcast@123",
    "tagcast redis",
    "tagcast cluster",
    "bun control",
    "nats",
    "aedes",
    "zeta",
  ]);
});

describe("goals", () => {
  const outcomes = (text: string) => text.split("\n").filter((line) => / (met|\*\*missed\*\*) \|$/.test(line));

  test("are held against the run, and named where the run says nothing", () => {
    const text = readme(resultsOf(fanOut), texts);
    expect(outcomes(text)).toEqual([
      "| 1→100, 512 in flight, per delivery | ≤ 0.35 × bun control | ×0.30 (×0.30 – ×0.36) | 3 | met |",
      "| 1→1,000 at 100 msg/s, per delivery | ≤ 0.95 × bun control | ×0.83 (×0.83 – ×0.83) | 3 | met |",
      "| p99 latency at 1,000 subscribers × 100 msg/s | ≤ 1.1 × bun control | ×1.00 (×1.00 – ×1.00) | 3 | met |",
    ]);
    expect(text.split("not in this run")).toHaveLength(goals.length - 3 + 1);
  });

  test("are missed above their limit", () => {
    const slow = rounds("tagcast", [40, 40, 40], { case: saturated });
    const control = rounds("bun control", [100, 100, 100], { case: saturated });
    expect(outcomes(readme(resultsOf([...slow, ...control]), texts))).toEqual([
      "| 1→100, 512 in flight, per delivery | ≤ 0.35 × bun control | ×0.40 (×0.40 – ×0.40) | 3 | **missed** |",
    ]);
  });

  test("of memory is read off its own figure", () => {
    const name = "18,900 connections, one subscription each";
    const idle = sampleOf({ workload: "idle", case: name, tally: null, figures: { bytesPerConnection: 3400 } });
    const values = goals.map((goal) => measured(goal, resultsOf([idle]))?.value);
    expect(values.filter((value) => value !== undefined)).toEqual([3400]);
  });

  test("may compare two cases of one peer", () => {
    const samples = [
      ...rounds("tagcast", [120, 130, 110], { workload: "log", case: "log-backed, 1→100, 64 B, 512 in flight" }),
      ...rounds("tagcast", [100, 100, 100], { workload: "log", case: "live, 1→100, 64 B, 512 in flight" }),
    ];
    expect(outcomes(readme(resultsOf(samples), texts))).toEqual([
      "| log-backed tag with acknowledgements, 1→100, per delivery | ≤ 1.5 × the live tag | ×1.20 (×1.10 – ×1.30) | 3 | met |",
    ]);
  });
});

describe("goals of a cluster", () => {
  const held = (work: string, samples: readonly Sample[]) => {
    const goal = goals.find((one) => one.work.startsWith(work));
    const found = goal === undefined ? null : measured(goal, resultsOf(samples));
    return goal === undefined || found === null ? null : { ...found, isMet: isMet(goal, found) };
  };
  test("ask for a least number, and say what the bottleneck was", () => {
    const name = "live, 1→1, 64 B, 32,768 in flight, 64 publishes per frame";
    const figures = { senderBusyPercent: 95, receiverBusyPercent: 40, redisBusyPercent: 20, driverBusyPercent: 30 };
    const sample = (peer: string, messagesPerSecond: number) =>
      sampleOf({ workload: "cluster", case: name, peer, figures: { ...figures, messagesPerSecond } });
    expect(held("one live tag", [sample("tagcast", 5e6), sample("tagcast cluster", 1.25e6)])).toEqual({
      value: 1.25e6,
      text: "1.25 M/s (1.25 M/s – 1.25 M/s); busiest: sender, 95 % of a core; all with the load process: 1.9 of 2 cores",
      rounds: 1,
      isMet: true,
    });
    expect(held("one live tag", [sample("tagcast cluster", 0.9e6)])?.isMet).toBe(false);
  });

  test("take what Redis adds from the same round, and name all that a sender takes", () => {
    const name = "live, 10,000 tags, 64 B, 4,096 in flight, 16 publishes per frame";
    const own = (peer: string, values: readonly number[]) =>
      values.map((senderCpuPerMessageNs, i) =>
        sampleOf({ workload: "cluster", case: name, peer, round: i + 1, figures: { senderCpuPerMessageNs } }),
      );
    const samples = [
      ...own("tagcast", [900, 1000, 5000]),
      ...own("tagcast redis", [2000, 2600, 6200]),
      ...own("tagcast cluster", [1900, 1900, 1900]),
    ];
    expect(held("10,000 live tags", samples)).toEqual({
      value: 1200,
      text: "1.20 µs (1.10 µs – 1.60 µs); all that the sender of two takes: 1.90 µs",
      rounds: 3,
      isMet: true,
    });
  });
});

test("every case that a goal is read off is a case of a workload", () => {
  const cases = workloads.flatMap(({ name, cases }) => cases.map((item) => `${name}: ${item.name}`));
  const places = goals.flatMap(placesOf).map((place) => `${place.workload}: ${place.case}`);
  expect(places.filter((place) => !cases.includes(place))).toEqual([]);
  expect(isGoalCase({ workload: "fan-out", case: saturated })).toBe(true);
  expect(isGoalCase({ workload: "json", case: saturated })).toBe(false);
});

describe("README", () => {
  test("names machine, versions and commit, and who was left out", () => {
    const text = readme(resultsOf(fanOut), texts);
    expect(text).toContain("2026-01-02, commit `abcdef1`, 3 rounds");
    expect(text).toContain("| nats | not installed, left out | NATS. |");
    expect(text).not.toContain("Never asked for");
  });

  test("has a table per workload that was run, and none for the others", () => {
    const text = readme(resultsOf(fanOut), texts);
    expect(text).toContain("## fan-out\n\nOne publisher, many subscribers.\n\nMedians over 3 rounds.\n");
    expect(text).toContain(`| ${saturated} | 36.0 ns (×0.30) | 100 ns |`);
    expect(text).not.toContain("## idle");
  });

  test("says of which cases there are more rounds, and which were cut short", () => {
    const again = rounds("tagcast", [1, 2, 3, 4, 5], { case: "1→10" });
    const short = rounds("tagcast", [1], { case: "1→1,000", scale: 0.1 });
    const text = readme(resultsOf([...fanOut, ...again, ...short]), texts);
    expect(text).toContain(
      "Medians over 3 rounds; over 5 rounds: 1→10; over 1 round, counts and durations × 0.1: 1→1,000.\n",
    );
    expect(text).toContain("commit `abcdef1`, 1 to 5 rounds");
    expect(tables(resultsOf(short), texts)).toContain("### 1→1,000\n\n1 round, counts and durations × 0.1:\n");
  });

  test("has a table for each case where a workload asks for it", () => {
    const own = { ...texts, workloads: [{ name: "fan-out", about: "", byCase: true }] };
    const text = readme(resultsOf(fanOut), own);
    expect(text).toContain(`${saturated}:\n\n|`);
    expect(text).toContain(`${pacedCase}:\n\n|`);
  });

  test("marks runs that lost messages, and a driver at its limit", () => {
    const lossy = sampleOf({ tally: tallyOf({ delivered: 990, lost: 10, driverSeconds: 0.95 }) });
    const told = sampleOf({ peer: "nats", tally: tallyOf({ delivered: 900, told: 100 }) });
    const text = readme(resultsOf([lossy, told]), texts);
    expect(text).toMatch(/\| tagcast † ‡ \|/);
    expect(text).toContain("- † 1→1, 64 B, 512 in flight, tagcast: 10 lost of 1000");
    expect(text).toContain("- † 1→1, 64 B, 512 in flight, nats: 100 dropped and told of 1000");
  });

  test("says what could not be measured", () => {
    const problem = { round: 1, workload: "fan-out", case: "1→1", peer: "nats", scale: 1, error: "Not done\nat x" };
    expect(readme(resultsOf(fanOut, { problems: [problem, { ...problem, round: 2 }] }), texts)).toContain(
      "- 1→1, nats: 2 rounds without a figure: Not done\n",
    );
  });

  test("puts the paper's figures beside ours, and goes on where the paper ends", () => {
    const samples = ["500 connections", "10,000 connections"].map((name, i) =>
      sampleOf({ workload: "paper-c", case: name, tally: null, figures: { responseMs: 2 + i, errorPercent: 0 } }),
    );
    const text = readme(resultsOf(samples), texts);
    expect(text).toContain("W. Cao et al. measured");
    expect(text).toContain("| 500 | 1.05 s | 0 % | 2.00 ms | 0 % |");
    expect(text).toContain("| 10,000 | – | – | 3.00 ms | 0 % |");
  });
});

test("tables.md has every figure, with its ends", () => {
  const text = tables(resultsOf(fanOut), texts);
  expect(text).toContain(`## fan-out\n\n### ${saturated}`);
  expect(text).toMatch(/\| tagcast \| 36\.0 ns \| 30\.0 ns – 90\.0 ns \| ×0\.30 \| ×0\.30 – ×0\.36 \|/);
});

test("plots show what was measured, and there are none of what was not", () => {
  expect(plotsOf(resultsOf([]))).toEqual([]);
  const plots = plotsOf(resultsOf(fanOut));
  expect(plots.map(({ name }) => name)).toEqual(["fan-out", "latency"]);
  expect(plots[0]?.spec["data"]).toEqual({
    values: [
      { case: saturated, peer: "tagcast", ns: 36, low: 30, high: 90 },
      { case: saturated, peer: "bun control", ns: 100, low: 100, high: 300 },
      { case: "1→1, 64 B, 512 in flight", peer: "tagcast", ns: 10, low: 10, high: 10 },
    ],
  });
});

describe("the file of results", () => {
  test("has a sample a line and is read as it was written, to six digits", () => {
    const results = resultsOf([sampleOf({ serverSeconds: 0.123456789 }), sampleOf({ round: 2 })]);
    const text = resultsText(results);
    expect(text.split("\n").filter((line) => line.startsWith("    {"))).toHaveLength(2);
    expect(parseResults(text)).toEqual({
      ...results,
      samples: [sampleOf({ serverSeconds: 0.123457 }), sampleOf({ round: 2 })],
    });
    expect(() => parseResults('{"format": 1}')).toThrow("format");
  });

  test("takes runs of single workloads together; of a case that was run again the last counts", () => {
    const first = resultsOf([sampleOf(), sampleOf({ workload: "idle" })], { micro: { a: 1 } });
    const second = resultsOf([sampleOf({ serverSeconds: 7 })], { micro: { b: 2 } });
    const joined = joinResults([first, second]);
    expect(joined.samples).toEqual([sampleOf({ workload: "idle" }), sampleOf({ serverSeconds: 7 })]);
    expect(joined.micro).toEqual({ a: 1, b: 2 });
    expect(joinResults([first, { ...second, commit: "other" }, first]).commit).toBe("abcdef1, other");
    const machine = { ...first.machine, cores: 64 };
    expect(() => joinResults([first, { ...second, machine }])).toThrow("different machines");
    expect(() => joinResults([])).toThrow();
  });

  test("takes runs together that differ in rounds and scale, and puts them in the order of the workloads", () => {
    const goal = rounds("tagcast", [1, 2, 3, 4, 5], { case: saturated });
    const rest = [sampleOf({ workload: "idle", case: "all", scale: 0.5 }), ...rounds("tagcast", [6, 7, 8])];
    const inTurn = ["1→1, 64 B, 512 in flight", saturated].map((name) => ({ ...anyCase, name }));
    const workloads = [
      { name: "fan-out", about: "", cases: inTurn },
      { name: "idle", about: "", cases: [{ ...anyCase, name: "all" }] },
    ];
    const { samples } = inOrder(joinResults([resultsOf(goal), resultsOf(rest)]), workloads);
    expect(samples).toEqual([...rest.slice(1), ...goal, ...rest.slice(0, 1)]);
  });
});
