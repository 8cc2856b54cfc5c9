/** What a tag promises: the policy that configuration gives to the tags a pattern covers. */
import { matches } from "./tag.ts";

/** What happens to a subscriber that reads too slowly. `latest` and `reliable` need a log. */
export type Delivery = "latest" | "stream" | "reliable";

/** Bounds of a log: at least `size` messages are kept unless `bytes` or `ttlMs` is reached first; none is older than `ttlMs`. */
export interface HistoryRule {
  readonly size: number;
  /** Milliseconds; absent: no bound by age. */
  readonly ttlMs?: number;
  /** Payload and meta bytes; absent: no bound by bytes of its own (the total bound of all logs holds). */
  readonly bytes?: number;
}

export interface TagRule {
  readonly pattern: string;
  /** Null: live only. */
  readonly history: HistoryRule | null;
  /** Send the last message on subscribe. Implies a log of at least 1. */
  readonly retain: boolean;
  readonly presence: boolean;
  readonly delivery: Delivery;
  /** The tag never leaves this instance. */
  readonly local: boolean;
}

/** No rule: live only, streamed. */
export const liveOnly: TagRule = {
  pattern: "#",
  history: null,
  retain: false,
  presence: false,
  delivery: "stream",
  local: false,
};

/** The first rule whose pattern matches `tag`, else live only. */
export function ruleOf(rules: readonly TagRule[], tag: string): TagRule {
  for (const rule of rules) if (matches(rule.pattern, tag)) return rule;
  return liveOnly;
}
