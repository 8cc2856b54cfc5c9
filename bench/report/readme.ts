/** `bench/README.md` from the results of a run: plain text, no library, the same for the same results. */
import { boundByDriver, countNotes } from "../measure/correctness.ts";
import type { Problem, Results, Sample } from "../results.ts";
import { digits, factor, markdownTable, quantity } from "./format.ts";
import { goals, isMet, measured } from "./goals.ts";
import {
  cpuPerDelivery,
  deliveriesPerSecond,
  figure,
  figuresOf,
  type Metric,
  p50,
  p99,
  p999,
  residentBytes,
} from "./metrics.ts";
import { notes } from "./notes.ts";
import { paperTable } from "./paper-c.ts";
import { plotNames } from "./plots.ts";
import { conditions, roundsRange, roundsText } from "./rounds.ts";
import { casesOf, caseTable, control, notesOf, peersOf, ratioOf, samplesOf, spread } from "./summary.ts";

/** What stands behind a name in the results. */
export interface Named {
  readonly name: string;
  readonly about: string;
  /** Of a workload: as there. */
  readonly byCase?: boolean;
}

export interface Texts {
  readonly peers: readonly Named[];
  readonly workloads: readonly Named[];
}

/** Enough to see what failed; the whole is in results.json. */
const errorCharactersMax = 160;
const generated = "<!-- Made from results.json by bench/report/write.ts; edit that, or notes.ts beside it. -->";

export function readme(results: Results, texts: Texts): string {
  const parts = [
    generated,
    "# How fast tagcast is",
    opening(results),
    "## Run it yourself",
    runIt,
    "## How it is measured",
    method(results),
    "## Servers",
    servers(results, texts.peers),
    "## Goals",
    goalTable(results),
    ...plots(results),
    ...paperSection(results),
    ...texts.workloads.flatMap((workload) => workloadSection(results, workload)),
    ...microSection(results),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

/** `bench/tables.md`: every figure of every case. */
export function tables(results: Results, texts: Texts): string {
  const parts = [
    generated,
    "# Every figure of the run",
    "Medians over the rounds. What the figures mean stands in [README.md](README.md).",
  ];
  for (const { name } of texts.workloads) {
    const own = samplesOf(results.samples, name);
    if (own.length === 0) continue;
    parts.push(`## ${name}`);
    for (const item of casesOf(own)) {
      const found = samplesOf(own, name, item);
      const [header = [], ...rows] = caseTable(found);
      parts.push(`### ${item}`, `${roundsText(found)}:`, markdownTable(header, rows));
    }
  }
  return `${parts.join("\n\n")}\n`;
}

function opening({ machine, commit, at, samples }: Results): string {
  const scales = [...new Set(samples.map(({ scale }) => scale))].filter((scale) => scale !== 1);
  const reduced =
    scales.length === 0 ? "" : " Some counts and durations were reduced: short runs, as their tables say.";
  return [
    `Every figure here was measured by \`bun run bench\` on ${at.slice(0, 10)}, commit \`${commit}\`, ${roundsRange(samples)},`,
    `on ${machine.cores} cores (${machine.cpu}), ${digits(machine.memoryGiB)} GiB of memory, Linux ${machine.kernel},`,
    `Bun ${machine.bun}${machine.node === null ? "" : `, Node ${machine.node}`}.${reduced}`,
    "Another machine gives other times; the ratios should hold. Every figure of every case is in [tables.md](tables.md),",
    "the samples behind them in [results.json](results.json).",
  ].join("\n");
}

const runIt = `    bun run bench:setup     # the other servers: Debian packages and npm packages with lock file
    bun run bench           # everything; \`--list\` names the parts, \`--help\` the options
    bun run bench fan-out --rounds 3 --peers tagcast,"bun control",nats

\`bun run bench --against <git ref>\` runs this checkout and another version of tagcast in turn, and says which
differences are larger than the noise. \`bun run bench --write\` makes a run of your own into this report; so does
\`bun bench/report/write.ts\` with the files of several runs on one machine, which may differ in rounds:

    bun run bench --goals --rounds 5 --json goals.json
    bun run bench --except-goals --rounds 3 --json others.json
    bun bench/report/write.ts goals.json others.json`;

function method({ samples }: Results): string {
  return `The server runs alone in its process, the load in another one: it opens every connection, publishes, and reads what
arrives. Each payload carries the time of its publish, its publisher and a sequence number, from which latency and lost,
doubled and reordered messages are counted. Server CPU is what the operating system has booked for the whole process tree of
the server, from just before the first publish until after the last arrival; a first run that warms the server up does
not count. Memory is the resident memory of that tree.

All servers do the same work in turn, ${roundsRange(samples)}, the order reversed in each. *${control}* is a bare \`Bun.serve\` with native topics
and none of our code: what tagcast stands on. \`×\` is the ratio to the control of the same round. Figures are medians over the
rounds. *In flight*: so many messages are published and not delivered at any time; *msg/s*: so many are published in a
second, whatever has arrived. Where messages went missing † says so, and a fast figure beside it means little; ‡: the load
process was at its own limit, and the server may have been waiting for it.`;
}

function servers({ peers }: Results, about: readonly Named[]): string {
  const rows = about
    .filter(({ name }) => name in peers)
    .map(({ name, about }) => [name, peers[name] ?? "not installed, left out", about]);
  return markdownTable(["name", "version", "what it is"], rows);
}

function goalTable(results: Results): string {
  const texts: string[] = [];
  const rows = goals.map((goal) => {
    const found = measured(goal, results);
    const outcome = found === null ? "not in this run" : isMet(goal, found) ? "met" : "**missed**";
    const note = notes[`${goal.work}: ${goal.goal}`];
    if (outcome === "**missed**" && note !== undefined) texts.push(`**${goal.work}, ${goal.goal}**: ${note}`);
    return [goal.work, goal.goal, found?.text ?? "–", `${found?.rounds ?? "–"}`, outcome];
  });
  const table = markdownTable(["work (64 B)", "goal", "median (min – max)", "rounds", ""], rows);
  const before = "Ratios of server CPU time in the same round, where no other unit stands.";
  return [before, table, ...texts].join("\n\n");
}

function plots(results: Results): readonly string[] {
  const names = plotNames(results);
  if (names.length === 0) return [];
  return ["## Plots", ...names.map(({ name, title }) => `![${title}](plots/${name}.svg)`)];
}

function paperSection({ samples }: Results): readonly string[] {
  const table = paperTable(samples);
  if (table === "") return [];
  return [
    "## The table of a paper",
    `W. Cao et al. measured their event-driven WebSocket server in 2017 (*A High Performance Event-Driven WebSocket Server*):
average response time and share of errors by concurrent connections. Their machine and network are not ours, so the two
halves of the table cannot be divided by one another; what can be compared is how they grow.`,
    table,
  ];
}

function workloadSection({ samples, problems }: Results, { name, about, byCase = false }: Named): readonly string[] {
  const own = samplesOf(samples, name);
  if (own.length === 0) return [];
  const cases = casesOf(own);
  const apart = byCase || cases.length <= 2;
  const body = apart ? cases.flatMap((item) => peerRows(samplesOf(own, name, item), item)) : caseRows(own);
  const failed = Map.groupBy(
    problems.filter((problem) => problem.workload === name),
    (problem) => `${problem.case}, ${problem.peer}`,
  );
  const lines = [...failed].map(([place, found]) => problemLine(place, found));
  return [`## ${name}`, about, conditions(own), ...body, [...footnotes(own), ...lines].join("\n")];
}

/** Few cases: a table each, a row per peer, a column per figure. */
function peerRows(samples: readonly Sample[], title: string): readonly string[] {
  const metrics = [...figuresOf(samples), cpuPerDelivery, deliveriesPerSecond, p50, p99, p999, residentBytes].filter(
    (metric) => has(samples, metric),
  );
  const rows = peersOf(samples).map((peer) => [
    `${peer}${marks(samples, peer)}`,
    ...metrics.map((metric) => cell(samples, peer, metric)),
  ]);
  return [`${title}:`, markdownTable(["", ...metrics.map((metric) => metric.title)], rows)];
}

/** Many cases: a table per figure, a row per case, a column per peer. */
function caseRows(samples: readonly Sample[]): readonly string[] {
  const metrics = [...figuresOf(samples), cpuPerDelivery].filter((metric) => has(samples, metric));
  const paced = samples.filter((sample) => sample.case.includes("/s"));
  return [
    ...metrics.map((metric) => metricTable(samples, metric)),
    ...(has(paced, p99) ? [metricTable(paced, p99)] : []),
  ];
}

function metricTable(samples: readonly Sample[], metric: Metric): string {
  const present = samples.filter((sample) => metric.of(sample) !== null);
  const peers = peersOf(present);
  const rows = casesOf(present).map((item) => {
    const own = present.filter((sample) => sample.case === item);
    return [item, ...peers.map((peer) => cell(own, peer, metric) + marks(own, peer))];
  });
  return markdownTable([metric.title, ...peers], rows);
}

function cell(samples: readonly Sample[], peer: string, metric: Metric): string {
  const value = spread(samples, peer, metric);
  if (value === null) return "–";
  const ratio = peer === control ? null : ratioOf(samples, metric, peer, control);
  const text = quantity(value.median, metric.unit);
  return ratio === null ? text : `${text} (${factor(ratio.median)})`;
}

function marks(samples: readonly Sample[], peer: string): string {
  const own = samples.filter((sample) => sample.peer === peer);
  const missing = own.some((sample) => countNotes(sample).length > 0);
  return `${missing ? " †" : ""}${own.some(boundByDriver) ? " ‡" : ""}`;
}

/** What the marks of a workload stand for. */
function footnotes(samples: readonly Sample[]): readonly string[] {
  const lines: string[] = [];
  for (const item of casesOf(samples)) {
    const own = samples.filter((sample) => sample.case === item);
    for (const peer of peersOf(own)) {
      const missing = own.some((sample) => sample.peer === peer && countNotes(sample).length > 0);
      if (missing) lines.push(`- † ${item}, ${peer}: ${notesOf(own, peer)}`);
    }
  }
  return lines;
}

function problemLine(place: string, problems: readonly Problem[]): string {
  const [first = ""] = problems[0]?.error.split("\n", 1) ?? [];
  const rounds = problems.length === 1 ? "1 round" : `${problems.length} rounds`;
  return `- ${place}: ${rounds} without a figure: ${first.slice(0, errorCharactersMax)}`;
}

function microSection({ micro }: Results): readonly string[] {
  const rows = Object.entries(micro).map(([name, value]) => {
    const { title, unit } = figure(name);
    return [title, quantity(value, unit)];
  });
  if (rows.length === 0) return [];
  const about = "In one process without sockets (`bun run bench micro`): what tagcast's own code takes and allocates.";
  return ["## In process", about, markdownTable(["", "median"], rows)];
}

function has(samples: readonly Sample[], metric: Metric): boolean {
  return samples.some((sample) => metric.of(sample) !== null);
}
