/** The command line of `bun run bench`. */
import { parseArgs } from "node:util";
import type { Selection } from "./plan.ts";

export const help = `Usage: bun run bench [workload …] [options]

Measures tagcast, a bare Bun.serve as control, and other servers on the same work in turn. Workloads are named by how
their names begin; without any all are run, which takes hours. Peers that are not installed are left out by name;
\`bun run bench:setup\` installs them.

  --case <text>      only cases whose name holds the text; may be given several times
  --goals            only cases that the table of goals is read off
  --except-goals     only the others, so that they may have fewer rounds
  --peers <a,b>      only these peers
  --rounds <n>       rounds in which every peer has one turn (default 5; with --against 9)
  --scale <x>        multiplies messages and durations (default 1); below 1 for a quick look
  --smoke            the short form that the tests run: tagcast and the control, counts but no times
  --against <ref>    compares this checkout with another version of tagcast, in alternation
  --json <file>      writes the samples there, after every case
  --write            makes this run the report: bench/results.json, bench/README.md, bench/plots; from several runs with
                     --json: bun bench/report/write.ts <file> …
  --list             names of workloads, cases and peers
  --help             this text

Exit status: 0; 1 where tagcast or the control lost, doubled or reordered a message or a sample could not be taken;
2 for a wrong command line. Times never decide.
`;

export interface Arguments extends Selection {
  /** Only cases that goals are read off, only the others, or all. */
  readonly goals: "only" | "not" | "too";
  readonly peers: readonly string[] | null;
  readonly rounds: number;
  readonly scale: number;
  readonly against: string | null;
  readonly json: string | null;
  readonly write: boolean;
  readonly list: boolean;
  readonly help: boolean;
}

const options = {
  case: { type: "string", multiple: true },
  goals: { type: "boolean" },
  "except-goals": { type: "boolean" },
  peers: { type: "string" },
  rounds: { type: "string" },
  scale: { type: "string" },
  smoke: { type: "boolean" },
  against: { type: "string" },
  json: { type: "string" },
  write: { type: "boolean" },
  list: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

const smokeScale = 0.02;
const rounds = { smoke: 1, against: 9, full: 5 };

/** @throws Error that says what is wrong with the command line */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
  const { smoke = false, write = false, against = null } = values;
  if (write && smoke) throw new Error("--write and --smoke exclude each other: the short form measures nothing");
  if (write && against !== null) throw new Error("--write and --against exclude each other");
  if (values.goals === true && values["except-goals"] === true)
    throw new Error("--goals and --except-goals exclude each other");
  const usual = smoke ? rounds.smoke : against === null ? rounds.full : rounds.against;
  return {
    workloads: positionals,
    cases: values.case ?? [],
    goals: values.goals === true ? "only" : values["except-goals"] === true ? "not" : "too",
    peers: values.peers === undefined ? null : values.peers.split(",").map((name) => name.trim()),
    rounds: wholeNumber(values.rounds, "--rounds") ?? usual,
    scale: positive(values.scale, "--scale") ?? (smoke ? smokeScale : 1),
    smoke,
    against,
    json: values.json ?? null,
    write,
    list: values.list ?? false,
    help: values.help ?? false,
  };
}

function positive(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new Error(`${name} is not a number above 0: "${text}"`);
  return value;
}

function wholeNumber(text: string | undefined, name: string): number | undefined {
  const value = positive(text, name);
  if (value !== undefined && !Number.isInteger(value)) throw new Error(`${name} is not a whole number: "${text}"`);
  return value;
}
