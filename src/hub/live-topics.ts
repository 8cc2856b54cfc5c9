/** What is subscribed to on this instance, for administrators. */
import type { Position } from "../core/position.ts";
import { covers } from "../core/tag.ts";
import type { LocalLog } from "./local-log.ts";
import type { Space } from "./space.ts";

export interface TopicStatus {
  /** A tag, or a pattern with wildcards. */
  readonly pattern: string;
  readonly subscribers: number;
  /** How far this instance has served the log of the tag; null for wildcards and without a log. */
  readonly log: Position | null;
}

/** Topics that `pattern` covers, in no order. Costs a look at every tag in use. */
export function liveTopics(space: Space, pattern: string): TopicStatus[] {
  const found: TopicStatus[] = [];
  for (const [topic, state] of space.topics()) {
    if (!covers(pattern, topic.pattern)) continue;
    found.push({ pattern: topic.pattern, subscribers: topic.holders, log: positionOf(state?.log ?? null) });
  }
  return found;
}

function positionOf(log: LocalLog | null): Position | null {
  return log === null || log.state === "opening" ? null : { epoch: log.epoch, offset: log.top };
}
