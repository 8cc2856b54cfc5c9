/** Where a new subscription starts in each log that it covers, and what its answer says of it. */
import type { Page } from "../broker/broker.ts";
import type { Position } from "../core/position.ts";
import type { Gap, Recovery } from "../core/recovery.ts";
import type { LocalLog } from "./local-log.ts";
import type { Deliveries } from "./subscriber.ts";
import type { Topic } from "./topic.ts";

export interface StartingPoint {
  /** What is delivered first: everything after this offset. */
  readonly cursor: number;
  /** The position that the answer names: everything up to it is either delivered as recovered or was not asked for. */
  readonly position: Position;
  /** Null where nothing was to be recovered. */
  readonly recovered: boolean | null;
  readonly gap: Gap | null;
}

export interface Wish {
  readonly since: Position | null;
  /** The newest so many messages, or null. */
  readonly last: number | null;
  readonly retain: boolean;
}

/** @param log how far this instance has served the tag; never promises more than that, except what the client has already */
export function startingPoint(wish: Wish, page: Page, log: LocalLog, recovery: Recovery): StartingPoint {
  const { epoch, top } = log;
  if (wish.since !== null) {
    const { recovered, cursor, gap } = recovery.resume(wish.since, page);
    return { cursor, position: { epoch, offset: Math.max(top, recovered ? cursor : 0) }, recovered, gap };
  }
  const last = wish.last ?? (wish.retain ? 1 : 0);
  const cursor = Math.min(top, Math.max(page.oldest - 1, top - last));
  return { cursor, position: { epoch, offset: top }, recovered: null, gap: null };
}

/** One log that a subscription to `topic` covers. */
export interface TagStart {
  readonly topic: Topic;
  readonly tag: string;
  readonly since: Position | null;
  readonly start: StartingPoint;
}

/** What the answer adds to the position where messages before it come first: those after this offset. */
export function startOf({ cursor, position }: StartingPoint): number | undefined {
  return cursor < position.offset ? cursor : undefined;
}

/** Tells where the delivery of a tag's log starts for somebody who had everything up to `since`, and what is lost before. */
export function tellStart(deliveries: Deliveries, { topic, tag, since, start }: TagStart): void {
  const { gap, cursor, position } = start;
  deliveries.startsAt?.(tag, since ?? { epoch: position.epoch, offset: cursor });
  if (gap === null) return;
  const { from, to, code, epoch } = gap;
  deliveries.gap(tag, from, to, { code: code.code, epoch, pattern: topic.name?.pattern });
}
