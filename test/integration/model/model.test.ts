/**
 * The promises of delivery under random interleavings: no loss, no double, no reordering within a tag that keeps a log;
 * a told gap or `recovered: false` otherwise. And proof that the model notices when a rule of recovery is taken away.
 *
 * `TAGCAST_MODEL_RUNS`: runs in total (default 2,400). `TAGCAST_MODEL_SEED`: seed of the first run of each kind.
 * `TAGCAST_MODEL_REPORT`: steps that the report of a failing run shows.
 */
import { describe, expect, test } from "bun:test";
import { gaps } from "../../../src/core/codes.ts";
import { type Recovery, recovery } from "../../../src/core/recovery.ts";
import { type Kind, kinds } from "./plan.ts";
import { runModel } from "./run.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

const runs = Number(process.env["TAGCAST_MODEL_RUNS"] ?? 2400);
const firstSeed = Number(process.env["TAGCAST_MODEL_SEED"] ?? 1);
const timeoutMs = 300_000;

/** How many of the runs each kind of world gets. */
const shares: Readonly<Record<Kind, number>> = { prompt: 0.35, lagging: 0.3, late: 0.25, heavy: 0.1 };

/** Among so many runs of a kind everything has come up that the promises are about. */
const runsToSeeAll = 200;

/** What the runs of a kind came by, summed up. */
class Summary {
  readonly counts: Record<string, number> = { messages: 0, recovered: 0, lost: 0, repeated: 0 };

  add({ truth, hub }: World): void {
    const { gaps: told, ...seen } = truth.seen;
    const gapsTold = Object.entries(told).map(([code, count]) => [`gap ${code}`, count] as const);
    const { demoted, tooSlow } = hub.sinks.counts;
    const { deferredFrames } = hub.distributor.counts;
    for (const [name, count] of [...Object.entries({ ...seen, demoted, tooSlow, deferredFrames }), ...gapsTold]) {
      this.counts[name] = (this.counts[name] ?? 0) + count;
    }
  }

  /** Names of what never came up. */
  missing(names: readonly string[]): string[] {
    return names.filter((name) => !this.counts[name]);
  }
}

const always = [
  "messages",
  "recovered",
  "lost",
  "repeated",
  `gap ${gaps.trimmed.code}`,
  `gap ${gaps.epochChanged.code}`,
];
const slow = ["demoted", "tooSlow", "deferredFrames", `gap ${gaps.slow.code}`, `gap ${gaps.conflated.code}`];

describe("Delivery keeps its promises", () => {
  test.each(kinds)(
    "in worlds of the kind: %s",
    async (kind) => {
      const count = Math.max(1, Math.ceil(runs * shares[kind]));
      const summary = new Summary();
      for (let i = 0; i < count; i++) summary.add(await runModel({ kind, seed: firstSeed + i }));
      if (count < runsToSeeAll) return;
      expect(summary.missing(kind === "heavy" ? [...always, ...slow] : always)).toEqual([]);
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
/** Each of them shows within a few runs. */
const runsToNotice = 50;

describe("The model notices the lack of", () => {
  test.each(broken)(
    "%s",
    async (_, kind, rules) => {
      const noticed = async () => {
        for (let i = 0; i < runsToNotice; i++) await runModel({ kind, seed: firstSeed + i, recovery: rules });
      };
      expect(await noticed().catch((error: unknown) => error)).toBeInstanceOf(Violation);
    },
    timeoutMs,
  );
});
