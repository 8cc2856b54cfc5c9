/** What a run of the bench leaves: plain data, kept as JSON, from which the report and the comparisons are made. */
import type { Tally } from "./load/commands.ts";
import type { Peer } from "./peers/peer.ts";

export interface Results {
  readonly format: 2;
  readonly machine: Machine;
  /** Short hash of the commit, with `+` where the checkout had changes; of several in the order in which they were measured, with commas. */
  readonly commit: string;
  readonly at: string;
  /** Version of each peer that was there; null: skipped. */
  readonly peers: Readonly<Record<string, string | null>>;
  readonly samples: readonly Sample[];
  /** Samples that could not be taken. */
  readonly problems: readonly Problem[];
  /** What the benches in `bench/micro` measured, by name. */
  readonly micro: Readonly<Record<string, number>>;
}

export interface Problem {
  readonly round: number;
  readonly workload: string;
  readonly case: string;
  readonly peer: string;
  readonly scale: number;
  readonly error: string;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly bun: string;
  readonly node: string | null;
}

/** One peer at one case of one workload in one round. */
export interface Sample {
  readonly round: number;
  readonly workload: string;
  /** Case of the workload: `1→100, 64 B, 512 in flight`. */
  readonly case: string;
  readonly peer: string;
  /** As `CaseContext.scale`: cases of one report may differ in it, and in how many rounds they have. */
  readonly scale: number;
  /** CPU time of the peer's process tree, seconds. */
  readonly serverSeconds: number;
  /** Resident memory of the tree in bytes, at the end. */
  readonly residentBytes: number;
  readonly tally: Tally | null;
  /** What the workload measures beside, by name: `bytesPerConnection`, `connectionsPerSecond`, `responseMs` … */
  readonly figures: Readonly<Record<string, number>>;
}

/** A workload: which cases it has, which peers take part, and how one sample is taken. */
export interface Workload {
  readonly name: string;
  /** For the report: what is done and what the figures mean. */
  readonly about: string;
  /** The report has a table for each case, with a row for each peer; else one for each figure, if there are many cases. */
  readonly byCase?: boolean;
  readonly cases: readonly Case[];
}

export interface Case {
  readonly name: string;
  /** Names of peers; those that are not installed are skipped by name. */
  readonly peers: readonly string[];
  /**
   * Those of `tagcast` and `bun control` that may lose messages here. In every other case a message that they lose, double
   * or reorder makes the bench fail; of the other peers it is shown alone.
   */
  readonly lossy?: readonly string[];
  /** Part of the short form that CI runs. */
  readonly smoke?: boolean;
  sample(context: CaseContext): Promise<Outcome>;
}

/** What a case finds out. */
export type Outcome = Omit<Sample, "round" | "workload" | "case" | "peer" | "scale">;

export interface CaseContext {
  readonly peer: Peer;
  /** Multiplies counts and durations: 1 in a full run, about 0.02 in the short form. */
  readonly scale: number;
  /** Passed on to the peer: another checkout in a comparison. */
  readonly checkout?: string;
}
