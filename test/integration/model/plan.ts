/** What kind of world a run plays in; everything else is chance. */
import type { TagRule } from "../../../src/core/tag-rule.ts";
import type { Random } from "../../harness/random.ts";

export interface Plan {
  /** `prompt`: the feed tells at once · `lagging`: later, with repeats · `late`: answers are promises, held back too. */
  readonly feed: "prompt" | "lagging" | "late";
  /** Whether the feed loses messages. */
  readonly lossy: boolean;
  /** Reads of logs, and subscribes, that fail; `late` only. */
  readonly failures: number;
  /** Whether the broker is away at times, and other instances publish meanwhile. */
  readonly outages: boolean;
  /** Messages large enough that slow readers are noticed. */
  readonly heavy: boolean;
  /** Tags that the server knows of at most beside those subscribed to by name. */
  readonly tagsMax: number;
  readonly logsMax: number;
  readonly logsMaxBytes: number;
  readonly idempotencyWindowMs: number;
  readonly clients: number;
}

export const kinds = ["prompt", "lagging", "late", "heavy"] as const;
export type Kind = (typeof kinds)[number];

export function createPlan(kind: Kind, random: Random): Plan {
  const heavy = kind === "heavy";
  const feed = heavy ? random.pick(["prompt", "prompt", "lagging", "late"] as const) : kind;
  return {
    feed,
    lossy: feed !== "prompt" && random.chance(0.6),
    failures: feed === "late" && random.chance(0.4) ? 0.05 : 0,
    outages: feed !== "prompt" && random.chance(0.4),
    heavy,
    tagsMax: random.chance(0.3) ? random.between(1, 6) : 1000,
    logsMax: random.chance(0.15) ? random.between(3, 7) : 1000,
    logsMaxBytes: !heavy && random.chance(0.1) ? random.between(2000, 8000) : 64 * 1024 * 1024,
    idempotencyWindowMs: random.pick([500, 60_000]),
    clients: random.between(2, 5),
  };
}

function rule(pattern: string, fields: Partial<TagRule>): TagRule {
  const delivery = fields.history ? "reliable" : "stream";
  return { pattern, history: null, retain: false, presence: false, delivery, local: false, ...fields };
}

export const rules: readonly TagRule[] = [
  rule("log/small", { history: { size: 3 } }),
  rule("log/large", { history: { size: 1000 } }),
  rule("log/brief", { history: { size: 50, ttlMs: 2000 } }),
  rule("log/bytes", { history: { size: 50, bytes: 200 } }),
  rule("log/stream", { history: { size: 30 }, delivery: "stream" }),
  rule("log/latest", { history: { size: 20 }, delivery: "latest" }),
  rule("log/kept", { history: { size: 10 }, retain: true }),
  rule("room/+", { history: { size: 8 }, presence: true }),
  rule("state/#", { history: { size: 1 }, retain: true, delivery: "latest" }),
  rule("many/#", { history: { size: 12 } }),
];

const logged = ["small", "large", "brief", "bytes", "stream", "latest", "kept"].map((name) => `log/${name}`);
export const loggedTags: readonly string[] = [
  ...logged,
  "room/1",
  "state/a",
  "state/a/b",
  "many/1",
  "many/2",
  "many/3",
];
export const liveTags: readonly string[] = ["live/a", "live/a/b", "note"];
export const tags: readonly string[] = [...loggedTags, ...liveTags];
const wildcards = ["#", "log/+", "+/small", "live/#", "state/+", "state/#", "many/#", "many/+", "+/a", "+/a/b", "+/+"];
export const patterns: readonly string[] = [...tags, ...wildcards, "log/#", "many/#"];
