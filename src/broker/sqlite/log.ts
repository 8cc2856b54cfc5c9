/** What a process knows of one log in a store: where it begins and ends. Its messages are in the file. */
import { newEpoch } from "../../core/position.ts";
import type { KeyedLog, LogKeys } from "../memory/idempotency.ts";
import type { HeardLog } from "../memory/interest.ts";
import type { Linked, RecencyList } from "../memory/recency.ts";
import type { BoundsRow, LogRow, Statements } from "./schema.ts";

/** An entry: its messages, when they were appended, and the bytes of the log before it. */
export interface Bounds {
  readonly first: number;
  readonly last: number;
  readonly ageMs: number;
  readonly bytesBefore: number;
}

/** What a transaction that fails puts back. */
export type LogState = Pick<StoredLog, "top" | "timeMs" | "bytes" | "oldestEntry" | "newestAgeMs" | "isSaved">;

export class StoredLog implements Linked<StoredLog>, KeyedLog, HeardLog {
  readonly id: number;
  readonly app: string;
  readonly tag: string;
  readonly epoch: number;
  readonly previous: { readonly epoch: number; readonly offset: number } | null;

  /** Offset of the newest message ever appended. */
  top = 0;
  /** Its time. */
  timeMs = 0;
  newestAgeMs = 0;
  /** Of all messages ever appended, less what is not known any more: differences count. */
  bytes = 0;
  /** The oldest entry that is kept; what is in the file before it is to be deleted. Null: none. */
  oldestEntry: Bounds | null = null;
  /** Of the rule seen last. */
  ttlMs = 0;
  /** Whether its row in the file says what it has to. */
  isSaved = false;
  /** Whether its entries were looked at. */
  isLoaded = false;
  isGone = false;

  keys: LogKeys | null = null;
  matchedByWildcard = false;
  matchedGeneration = -1;
  older: StoredLog | null = null;
  newer: StoredLog | null = null;
  list: RecencyList<StoredLog> | null = null;

  constructor(of: Pick<StoredLog, "id" | "app" | "tag" | "epoch" | "previous">) {
    this.id = of.id;
    this.app = of.app;
    this.tag = of.tag;
    this.epoch = of.epoch;
    this.previous = of.previous;
  }

  static fresh(id: number, app: string, tag: string): StoredLog {
    const log = new StoredLog({ id, app, tag, epoch: newEpoch(), previous: null });
    log.isLoaded = true;
    return log;
  }

  static of(row: LogRow): StoredLog {
    const { id, app, tag, epoch, previous_epoch: previousEpoch, previous_offset: offset } = row;
    const previous = previousEpoch === 0 ? null : { epoch: previousEpoch, offset };
    const log = new StoredLog({ id, app, tag, epoch, previous });
    log.top = row.top;
    log.timeMs = row.time;
    log.ttlMs = row.ttl;
    log.isGone = row.gone === 1;
    log.isSaved = true;
    return log;
  }

  /** The same log in a new epoch, which counts on. It has to be loaded. */
  inNewEpoch(): StoredLog {
    const { id, app, tag, epoch, top } = this;
    const log = new StoredLog({ id, app, tag, epoch: newEpoch(), previous: { epoch, offset: top } });
    log.restore(this);
    log.ttlMs = this.ttlMs;
    log.isLoaded = this.isLoaded;
    log.isSaved = false;
    return log;
  }

  get oldest(): number {
    return this.oldestEntry === null ? this.top + 1 : this.oldestEntry.first;
  }

  get length(): number {
    return this.top + 1 - this.oldest;
  }

  /** Bytes of the messages held. */
  get heldBytes(): number {
    return this.oldestEntry === null ? 0 : this.bytes - this.oldestEntry.bytesBefore;
  }

  /** Looks at the entries, once. */
  load(statements: Statements): void {
    if (this.isLoaded) return;
    this.isLoaded = true;
    const newest = statements.newestBounds.get(this.id);
    if (newest === null) return;
    this.top = newest.last;
    this.timeMs = newest.time;
    this.newestAgeMs = newest.age;
    this.bytes = newest.sum;
    this.oldestEntry = boundsOf(statements.boundsAfter.get(this.id, 0));
  }

  /** Writes its row. A log that has messages is known by them: the row's top only says that there were any. */
  save(statements: Statements): void {
    const { id, app, tag, epoch, top, timeMs, ttlMs, previous, isGone } = this;
    const before = [previous?.epoch ?? 0, previous?.offset ?? 0];
    statements.saveLog.run(id, app, tag, epoch, top, timeMs, ttlMs, ...before, Number(isGone));
    this.isSaved = true;
  }

  state(): LogState {
    const { top, timeMs, bytes, oldestEntry, newestAgeMs, isSaved } = this;
    return { top, timeMs, bytes, oldestEntry, newestAgeMs, isSaved };
  }

  restore(state: LogState): void {
    this.top = state.top;
    this.timeMs = state.timeMs;
    this.bytes = state.bytes;
    this.oldestEntry = state.oldestEntry;
    this.newestAgeMs = state.newestAgeMs;
    this.isSaved = state.isSaved;
  }
}

export function boundsOf(row: BoundsRow | null): Bounds | null {
  if (row === null) return null;
  const { last, count, age, sum, bytes } = row;
  return { first: last - count + 1, last, ageMs: age, bytesBefore: sum - bytes };
}
