/** What is done besides appending, a bounded part with each transaction: deleting, making room, keeping records. */
import type { IdempotencyKeys } from "../memory/idempotency.ts";
import type { Uptime } from "./age.ts";
import type { StoredLog } from "./log.ts";
import type { StoredLogs } from "./logs.ts";
import { type Durability, writeRun } from "./run.ts";
import { pageBytes } from "./schema.ts";
import type { StoreFile } from "./store-file.ts";
import type { Trimming } from "./trimming.ts";
import type { Now, Writer } from "./writer.ts";

/** Entries deleted, and rows of keys, with one transaction. */
const deletedAtOnce = 512;
const savedAtOnce = 512;
const keysPerSweep = 20_000;
/** Logs looked at in a sweep, and how many of those may have to be read from the file for it. */
const logsPerSweep = 2000;
const loadsPerSweep = 100;
/** By how much the wall clock may drift, and how much time may pass, before it is written down what it says. */
const driftMaxMs = 1000;
const anchorEveryMs = 60_000;
/** Unused pages from which on some are given back: 1 MiB, and a quarter of the file. */
const unusedPagesMin = 256;
const pagesGivenBack = 256;
/** What has to find room before a full disk counts as having some. */
const probeBytes = 128 * 1024;

export interface HousekeepingParts {
  readonly file: StoreFile;
  readonly logs: StoredLogs;
  readonly trimming: Trimming;
  readonly keys: IdempotencyKeys;
  readonly writer: Writer;
  readonly idempotencyWindowMs: number;
  readonly durability: Durability;
  readonly uptime: () => Uptime;
}

export class Housekeeping {
  readonly #parts: HousekeepingParts;
  /** Logs whose rows are to be written. */
  readonly #unsaved = new Set<StoredLog>();
  #saving: StoredLog[] = [];
  #isRunRecorded = false;
  #anchor: Now | null = null;
  /** What the anchor will be once the transaction is committed. */
  #anchorNext: Now | null = null;
  #oldestTurnAgeMs = -Infinity;

  constructor(parts: HousekeepingParts) {
    this.#parts = parts;
  }

  /** A log that nothing was appended to has an epoch that was told. */
  save(log: StoredLog): void {
    if (!log.isSaved) this.#unsaved.add(log);
  }

  /** Looks after ages and keys, of some logs. True: there is something for a transaction to do. */
  sweep(now: Now): boolean {
    const { logs, trimming, keys, file } = this.#parts;
    let loads = loadsPerSweep;
    for (const log of logs.someMore(logsPerSweep)) {
      if (log.ttlMs === 0) continue;
      if (!log.isLoaded && loads-- <= 0) break;
      log.load(file.statements);
      trimming.trimByAge(log, now.ageMs);
      logs.recount(log);
    }
    keys.expire(keysPerSweep, now.ageMs);
    return (
      trimming.isDue || this.#unsaved.size > 0 || trimming.isOverfull || this.#hasDrifted(now) || this.#isTurnOver(now)
    );
  }

  /** Whether the file says that it is in use. */
  get isRunRecorded(): boolean {
    return this.#isRunRecorded;
  }

  /** Pages to give back now; 0: none. */
  get surplusPages(): number {
    const { file } = this.#parts;
    const { freePages } = file;
    const isSurplus = freePages >= unusedPagesMin && freePages * pageBytes * 3 > file.usedBytes;
    return isSurplus ? Math.min(freePages, pagesGivenBack) : 0;
  }

  /** Within a transaction. */
  run(now: Now): void {
    const { trimming, writer } = this.#parts;
    if (!this.#isRunRecorded) this.#record(now, true);
    this.#saveSome();
    trimming.makeRoom(writer.appended, writer.writtenBytes);
    trimming.deleteSome(deletedAtOnce);
    this.#deleteTurns(now);
    const isAnchorDue = this.#hasDrifted(now) || now.ageMs - (this.#anchor?.ageMs ?? -Infinity) > anchorEveryMs;
    if (!writer.hasKeys && !isAnchorDue) return;
    writer.writeTurn(now);
    this.#anchorNext = now;
  }

  /** Writes down that the store is stopped, and all that waits for a transaction, as one of its own. @throws SQLiteError */
  finish(now: Now): void {
    const { begin, commit, rollback } = this.#parts.file.statements;
    begin.run();
    try {
      for (const log of this.#unsaved) if (!log.isGone && !log.isSaved) log.save(this.#parts.file.statements);
      this.#parts.trimming.deleteSome(deletedAtOnce);
      this.#record(now, false);
      commit.run();
    } catch (error) {
      if (this.#parts.file.db.inTransaction) rollback.run();
      throw error;
    }
  }

  /** The transaction is over. */
  ended(isCommitted: boolean): void {
    this.#parts.trimming.ended(isCommitted);
    if (isCommitted) {
      this.#isRunRecorded = true;
      this.#anchor = this.#anchorNext ?? this.#anchor;
    } else {
      for (const log of this.#saving) {
        log.isSaved = false;
        this.#unsaved.add(log);
      }
      this.#oldestTurnAgeMs = -Infinity;
    }
    this.#saving = [];
    this.#anchorNext = null;
  }

  /** Writes something and takes it away again. @throws SQLiteError */
  probe({ ageMs, wallMs }: Now): void {
    const { statements, db } = this.#parts.file;
    const { lastInsertRowid } = statements.insertTurn.run(ageMs, wallMs, new Uint8Array(probeBytes));
    db.run("DELETE FROM turns WHERE seq = ?", [lastInsertRowid]);
  }

  #saveSome(): void {
    for (const log of this.#unsaved) {
      if (this.#saving.length === savedAtOnce) return;
      this.#unsaved.delete(log);
      if (log.isGone || log.isSaved) continue;
      log.save(this.#parts.file.statements);
      this.#saving.push(log);
    }
  }

  #record({ ageMs, wallMs }: Now, isRunning: boolean): void {
    const { file, durability, uptime } = this.#parts;
    writeRun(file.statements, { isRunning, durability, start: { ageMs, wallMs, uptime: uptime() } });
  }

  #hasDrifted(now: Now): boolean {
    if (this.#anchor === null) return true;
    return Math.abs(now.wallMs - now.ageMs - (this.#anchor.wallMs - this.#anchor.ageMs)) > driftMaxMs;
  }

  #isTurnOver({ ageMs }: Now): boolean {
    return ageMs - this.#oldestTurnAgeMs > this.#parts.idempotencyWindowMs;
  }

  /** Rows of keys whose window is over; the newest row stays, since it says what time it was. */
  #deleteTurns(now: Now): void {
    if (!this.#isTurnOver(now)) return;
    const { oldestTurn, newestTurn, deleteTurns } = this.#parts.file.statements;
    const oldest = oldestTurn.get();
    const newest = newestTurn.get();
    if (oldest === null || newest === null) return;
    deleteTurns.run(Math.min(newest.seq, oldest.seq + deletedAtOnce), now.ageMs - this.#parts.idempotencyWindowMs);
    const left = oldestTurn.get();
    // The newest alone is no reason to look again.
    this.#oldestTurnAgeMs = left === null || left.seq === newest.seq ? now.ageMs : left.age;
  }
}
