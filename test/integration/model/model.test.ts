/**
 * The promises of delivery under random interleavings: no loss, no double, no reordering within a tag that keeps a log;
 * a told gap or `recovered: false` otherwise. And proof that the model notices when a rule of recovery is taken away.
 *
 * `TAGCAST_MODEL_RUNS`: runs in total (default 2,400). `TAGCAST_MODEL_SEED`: seed of the first run.
 */
import { describe, expect, test } from "bun:test";
import { type Recovery, recovery } from "../../../src/core/recovery.ts";
import { type Kind, kinds } from "./plan.ts";
import { runModel } from "./run.ts";
import { Violation } from "./violation.ts";

const runs = Number(process.env["TAGCAST_MODEL_RUNS"] ?? 2400);
const firstSeed = Number(process.env["TAGCAST_MODEL_SEED"] ?? 1);
const timeoutMs = 300_000;

/** How many runs each kind of world gets. */
const shares: Readonly<Record<Kind, number>> = { prompt: 0.35, lagging: 0.3, late: 0.25, heavy: 0.1 };

describe("Delivery keeps its promises", () => {
  test.each(kinds)(
    "in worlds of the kind: %s",
    async (kind) => {
      const count = Math.max(1, Math.ceil(runs * shares[kind]));
      for (let i = 0; i < count; i++) await runModel({ kind, seed: firstSeed + i });
    },
    timeoutMs,
  );
});

/** The rules with one of them taken away, and a world where that shows. */
const broken: readonly (readonly [what: string, kind: Kind, rules: Recovery])[] = [
  ["the merge of history and live delivery", "prompt", { ...recovery, handover: (cursor) => cursor }],
  ["the gap for what was trimmed", "prompt", { ...recovery, trimmed: () => null }],
  [
    "the dropping of doubles",
    "lagging",
    { ...recovery, admit: (top, offset) => (offset <= top + 1 ? "next" : "hole") },
  ],
];

describe("The model notices the lack of", () => {
  test.each(broken)(
    "%s",
    async (_, kind, rules) => {
      const found = async () => {
        for (let i = 0; i < 50; i++) await runModel({ kind, seed: firstSeed + i, recovery: rules });
      };
      expect(await found().catch((error: unknown) => error)).toBeInstanceOf(Violation);
    },
    timeoutMs,
  );
});
