/**
 * What a log no longer keeps. Trimming moves the beginning of a log, which is known in memory; the entries before it are
 * deleted some at a time, with the next transactions. A log keeps whole entries: at its old end up to one batch more than its rule
 * asks for.
 */
import type { TagRule } from "../../core/tag-rule.ts";
import { keptSize } from "../memory/log.ts";
import { boundsOf, type Bounds, type StoredLog } from "./log.ts";
import type { StoredLogs } from "./logs.ts";
import type { Statements } from "./schema.ts";
import type { StoreFile } from "./store-file.ts";

/** Messages that a log may hold beyond its size, so that not each append looks for what to drop: a part of the size, at most. */
const slackMessagesMax = 64;
/** Entries that are deleted in one go. */
const lumpEntries = 32;
/** Bytes of the file that become free in one transaction, about, unless more is appended: so much takes some milliseconds. */
const freedBytes = 512 * 1024;
/** What an entry takes in the file beside its messages, about. */
const entryBytes = 40;

export interface TrimmingParts {
  readonly file: StoreFile;
  readonly logs: StoredLogs;
  readonly logsMaxBytes: number;
}

export class Trimming {
  readonly #file: StoreFile;
  readonly #statements: Statements;
  readonly #logs: StoredLogs;
  readonly #logsMaxBytes: number;
  /** Logs with entries in the file that they no longer keep. */
  readonly #littered = new Set<StoredLog>();
  /** Of these, those that this transaction has deleted from. */
  readonly #cleaned = new Set<StoredLog>();

  constructor({ file, logs, logsMaxBytes }: TrimmingParts) {
    this.#file = file;
    this.#statements = file.statements;
    this.#logs = logs;
    this.#logsMaxBytes = logsMaxBytes;
  }

  /** Whether there is anything to delete. */
  get isDue(): boolean {
    return this.#littered.size > 0;
  }

  /** Whether the file takes more than it may. */
  get isOverfull(): boolean {
    return this.#file.usedBytes > this.#logsMaxBytes;
  }

  /** Drops what the rule does not keep, at once as far as readers see. */
  trim(log: StoredLog, rule: TagRule, nowMs: number): void {
    const ttlMs = rule.history?.ttlMs ?? 0;
    if (ttlMs !== log.ttlMs) {
      log.ttlMs = ttlMs;
      log.isSaved = false;
    }
    const size = keptSize(rule);
    if (size === 0) this.#begin(log, null);
    else if (log.length > size + Math.min(slackMessagesMax, size >> 3)) {
      this.#begin(log, boundsOf(this.#statements.boundsAfter.get(log.id, log.top - size)));
    }
    const bytes = rule.history?.bytes ?? Infinity;
    const oldest = log.oldestEntry;
    if (log.heldBytes > bytes + (bytes >> 3) && oldest !== null) {
      // Up to the entry with which the newest ones are as many bytes, or more.
      this.#begin(log, boundsOf(this.#statements.boundsBeyond.get(log.id, oldest.last - 1, log.bytes - bytes)));
    }
    this.trimByAge(log, nowMs);
  }

  /** Drops what is older than the rule seen last allows. */
  trimByAge(log: StoredLog, nowMs: number): void {
    const oldest = log.oldestEntry;
    if (log.ttlMs === 0 || oldest === null || nowMs - oldest.ageMs <= log.ttlMs) return;
    this.#begin(log, boundsOf(this.#statements.boundsFresher.get(log.id, oldest.last, nowMs - log.ttlMs)));
  }

  /** The log is gone: all its entries are to be deleted, and then its row. */
  discard(log: StoredLog): void {
    log.oldestEntry = null;
    log.isSaved = false;
    this.#littered.add(log);
  }

  /**
   * Makes room where the file takes more than it may: `appended`, just used, pays while it takes more than its fair share, so that
   * one busy tag does not push the others out; else the logs used least recently pay. Its newest entry stays. A bounded amount, but
   * more than `writtenBytes`, which the transaction appends.
   */
  makeRoom(appended: StoredLog | null, writtenBytes: number): void {
    const most = Math.max(freedBytes, 2 * writtenBytes);
    const enoughBytes = Math.max(this.#logsMaxBytes, this.#file.usedBytes - most);
    while (this.#file.usedBytes > enoughBytes) {
      const payer = this.#payer(appended);
      if (payer === null) return;
      payer.load(this.#statements);
      const oldest = payer.oldestEntry;
      if (oldest !== null) {
        const next = boundsOf(this.#statements.entryAt.get(payer.id, oldest.last, lumpEntries - 1));
        const newest = boundsOf(this.#statements.newestBounds.get(payer.id));
        this.#begin(payer, next ?? (payer === appended ? newest : null));
        this.#deleteOf(payer, lumpEntries);
      }
      if (payer.length === 0 || oldest === null) this.#logs.recount(payer);
      // Nothing is left that could be dropped.
      if (payer === appended && payer.oldestEntry?.last === oldest?.last) return;
    }
  }

  #payer(appended: StoredLog | null): StoredLog | null {
    if (appended !== null && appended.oldestEntry !== null && appended.oldestEntry.last < appended.top) {
      const costBytes = appended.heldBytes + appended.length * entryBytes;
      if (costBytes * this.#logs.filled > this.#logsMaxBytes) return appended;
    }
    return this.#logs.leastRecent;
  }

  /** Deletes entries that are not kept, within a transaction: up to so many, and no more than takes some milliseconds. */
  deleteSome(entries: number): void {
    if (this.#littered.size === 0) return;
    const enoughBytes = this.#file.usedBytes - freedBytes;
    let left = entries;
    for (const log of this.#littered) {
      while (this.#littered.has(log)) {
        if (left <= 0 || this.#file.usedBytes < enoughBytes) return;
        left -= this.#deleteOf(log, Math.min(left, lumpEntries));
      }
    }
  }

  /** The transaction that deleted is over. */
  ended(isCommitted: boolean): void {
    if (!isCommitted) {
      for (const log of this.#cleaned) {
        log.isSaved = false;
        this.#littered.add(log);
      }
    }
    this.#cleaned.clear();
  }

  /** Counts what it has deleted. The last entry of a log goes with the log's row saying how far it had got. */
  #deleteOf(log: StoredLog, most: number): number {
    const { deleteEntries, entryAt, forgetLog } = this.#statements;
    this.#cleaned.add(log);
    const end = log.oldestEntry === null ? log.top : log.oldestEntry.first - 1;
    if (log.oldestEntry === null || (log.isGone && !log.isSaved)) log.save(this.#statements);
    const last = entryAt.get(log.id, 0, most - 1)?.last ?? Infinity;
    const { changes } = deleteEntries.run(log.id, Math.min(last, end));
    if (last >= end) {
      this.#littered.delete(log);
      if (log.isGone) forgetLog.run(log.id);
    }
    return Math.max(1, changes);
  }

  #begin(log: StoredLog, oldest: Bounds | null): void {
    if (oldest?.last === log.oldestEntry?.last) return;
    log.oldestEntry = oldest;
    this.#littered.add(log);
  }
}
