/** How a store was last used: the record by which its next start knows what may have been lost. */
import { z } from "zod";
import type { StartAnchor } from "./age.ts";
import type { Statements } from "./schema.ts";
import type { WalState } from "./wal.ts";

/** What a publish that was acknowledged survives: `full` a power cut, `normal` the end of the process. */
export type Durability = "full" | "normal";

export interface Run {
  /** False: it was stopped in order, and nothing is missing. */
  readonly isRunning: boolean;
  readonly durability: Durability;
  readonly start: StartAnchor;
}

const schema = z.object({
  isRunning: z.boolean(),
  durability: z.enum(["full", "normal"]),
  start: z.object({
    ageMs: z.number(),
    wallMs: z.number(),
    uptime: z.object({ boot: z.string(), ms: z.number() }),
  }),
});

/** Null: it was never written to. */
export function readRun({ readMeta }: Statements): Run | null {
  const row = readMeta.get("run");
  return row === null ? null : schema.parse(JSON.parse(row.value));
}

/** Within a transaction, or as one. */
export function writeRun({ writeMeta }: Statements, run: Run): void {
  writeMeta.run("run", JSON.stringify(run));
}

/**
 * Whether messages that somebody has seen may be missing at the end of logs. Their offsets must not be given to others in
 * the same epoch then.
 */
export function mayHaveLost(run: Run | null, wal: WalState, boot: string): boolean {
  if (run === null || !run.isRunning) return wal === "cut";
  if (wal === "cut" || wal === "missing") return true;
  const wasPowerCut = boot === "" || run.start.uptime.boot !== boot;
  return wasPowerCut && (wal === "torn" || run.durability === "normal");
}
