/** What a sink knows of one tag that it lags behind on, and what it needs from the hub. */
import type { Answer, Page, Stored } from "../broker/broker.ts";
import type { Recovery } from "../core/recovery.ts";
import type { Delivery } from "../core/tag-rule.ts";
import type { Settle } from "../lib/settle.ts";
import type { LocalLog } from "./local-log.ts";
import type { Sink } from "./sink.ts";
import type { TagState } from "./space.ts";

/** Pages that a sink reads, or has read and not sent, at a time: a pattern may lag behind on thousands of logs. */
export const pagesMax = 4;
/** Offsets remembered per tag of messages that the subscriber published itself with `echo: false` while it lagged. */
export const ownOffsetsMax = 4096;

/** What sinks need from the hub. */
export interface SinkHost {
  readonly recovery: Recovery;
  readonly settle: Settle;
  readonly counts: { slowDropped: number; conflated: number; trimmed: number };
  /** Messages sent to sockets from here. */
  readonly delivered: { msgpack: number; json: number };
  countGap(code: number): void;
  read(state: TagState, cursor: number): Answer<Page>;
  verify(state: TagState): void;
  /** Asks that `pump` be called at the end of this turn. */
  wake(sink: Sink): void;
  /** Everything was sent and the socket is drained. */
  caughtUp(sink: Sink): void;
}

/** One tag that this sink lags behind on. */
export interface Lag {
  readonly log: LocalLog;
  readonly mode: Delivery;
  /** Everything up to here was sent or told. */
  cursor: number;
  /** `latest`: the message to send once drained. */
  newest: Stored | null;
  /** The newest offset that was dropped (`stream`), or that nobody will get. */
  droppedTo: number;
  own: Set<number> | null;
  reading: boolean;
  /** What was read after `cursor` and could not be sent yet. */
  page: Page | null;
}

/** What a lag takes in memory, about: itself, and each offset in `own`. */
const lagBytes = 200;
const ownBytes = 40;

/** Bytes kept for one tag that a subscriber lags behind on. */
export function keptBytes({ newest, page, own }: Lag): number {
  let bytes = lagBytes + (own === null ? 0 : own.size * ownBytes);
  if (newest !== null) bytes += newest.bytes.length;
  if (page !== null) for (const message of page.messages) bytes += message.bytes.length;
  return bytes;
}

/** Everything after `cursor` is still to be sent or told. */
export function lagAt(log: LocalLog, mode: Delivery, cursor: number): Lag {
  return { log, mode, cursor, newest: null, droppedTo: cursor, own: null, reading: false, page: null };
}
