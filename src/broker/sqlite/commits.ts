/**
 * Appends in groups: what gathers while a group is on its way to the disk is the next group, one transaction each. Publishers
 * are answered, and subscribers told, once their group is on disk. Nothing here waits for the disk on this thread.
 *
 *   append ─► queue ─► transaction ─► sync (another thread) ─► feed, answers ─► checkpoint, where the log is long ─► next group
 */
import { type ErrorCode, errors } from "../../core/codes.ts";
import type { Logger } from "../../core/logger.ts";
import { assert } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Histogram } from "../../lib/histogram.ts";
import type { Appended, Batch, FeedEvent } from "../broker.ts";
import type { AgeClock } from "./age.ts";
import type { Housekeeping } from "./housekeeping.ts";
import type { Durability } from "./run.ts";
import type { StoreFile } from "./store-file.ts";
import { StoreTrouble, troubleOf } from "./trouble.ts";
import type { Now, Writer, Written } from "./writer.ts";

/** Pages in the write-ahead log from which on it is brought into the database: 4 MiB. */
const checkpointPages = 1000;
/** A group takes no more, so that no turn is long: the rest is the next group. One call is never divided. */
const groupDraftsMax = 2000;
const groupBytesMax = 4 * 1024 ** 2;

/** Kept by who opens stores: over all of them. */
export interface CommitCounts {
  commits: number;
  checkpoints: number;
  /** From the beginning of a transaction until it was on disk, seconds. */
  readonly seconds: Histogram;
}

export interface CommitsParts {
  readonly file: StoreFile;
  readonly writer: Writer;
  readonly housekeeping: Housekeeping;
  readonly age: AgeClock;
  readonly clock: Clock;
  readonly durability: Durability;
  readonly logger: Logger;
  readonly counts: CommitCounts;
  readonly announce: (event: FeedEvent) => void;
  /** The store cannot be written, or is no longer to be trusted; told once until it can be written again. */
  readonly onTrouble: (trouble: StoreTrouble) => void;
}

interface Call {
  readonly batches: readonly Batch[];
  readonly drafts: number;
  readonly bytes: number;
  readonly settle: (answers: readonly Appended[]) => void;
}

/** What went wrong, and whether it may be right again while this process lives. */
export interface Fault {
  readonly trouble: StoreTrouble;
  readonly isFinal: boolean;
}

export class Commits {
  readonly counts: CommitCounts;
  readonly #parts: CommitsParts;
  #queue: Call[] = [];
  #flight: Promise<void> | null = null;
  #idle: Promise<void> | null = null;
  #fault: Fault | null = null;
  #isStopped = false;
  /** Whether something was committed and not synced. */
  #isDirty = false;
  #isSyncing = false;

  constructor(parts: CommitsParts) {
    this.#parts = parts;
    this.counts = parts.counts;
  }

  /** Null: it can be written. */
  get fault(): Fault | null {
    return this.#fault;
  }

  get isBusy(): boolean {
    return this.#idle !== null;
  }

  append(batches: readonly Batch[]): Promise<readonly Appended[]> {
    let drafts = 0;
    let bytes = 0;
    for (const batch of batches) {
      drafts += batch.drafts.length;
      for (const { body } of batch.drafts) bytes += body.bytes.length;
    }
    const { promise, resolve } = Promise.withResolvers<readonly Appended[]>();
    this.#queue.push({ batches, drafts, bytes, settle: resolve });
    this.#start();
    return promise;
  }

  /** Settles once everything appended before is on disk, or refused; null: it is. */
  settled(): Promise<void> | null {
    if (this.#queue.length > 0) return this.append([]).then(() => {});
    return this.#flight;
  }

  /** A transaction for what housekeeping has to do, unless one is under way. */
  tidy(): void {
    if (this.#idle !== null || this.#fault !== null || this.#isStopped) return;
    this.#occupy(this.#group([]));
  }

  /** Brings everything into the database, and gives unused space back, unless something is under way. */
  rest(shrinkPages: number): void {
    if (this.#idle !== null || this.#fault !== null || this.#isStopped) return;
    this.#occupy(this.#checkpoint(shrinkPages));
  }

  /** Brings what was committed to disk, in the background: commits go on. */
  syncLater(): void {
    if (!this.#isDirty || this.#isSyncing) return;
    this.#isDirty = false;
    this.#isSyncing = true;
    this.#parts.file
      .sync()
      .catch((error: unknown) => void this.#giveUp(error, []))
      .finally(() => (this.#isSyncing = false));
  }

  /** Tries whether the store can be written again. True: it can. */
  async probe(): Promise<boolean> {
    if (this.#idle !== null || this.#fault === null || this.#fault.isFinal || this.#isStopped) return false;
    const probing = this.#probe();
    this.#occupy(probing.then(() => {}));
    return await probing;
  }

  /** Takes no more, answers what waits, and settles once nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#refuse(this.#queue.splice(0), errors.unavailable);
    await this.#idle;
  }

  #occupy(work: Promise<void>): void {
    this.#idle = work
      .catch((error: unknown) => this.#parts.logger.error("fault in the store", { error }))
      .then(() => {
        this.#idle = null;
        this.#start();
      });
  }

  #start(): void {
    if (this.#idle !== null || this.#queue.length === 0) return;
    if (this.#fault !== null || this.#isStopped) return this.#refuse(this.#queue.splice(0), errors.unavailable);
    this.#occupy(this.#group(this.#take()));
  }

  #take(): readonly Call[] {
    let drafts = 0;
    let bytes = 0;
    let count = 0;
    for (const call of this.#queue) {
      drafts += call.drafts;
      bytes += call.bytes;
      if (count > 0 && (drafts > groupDraftsMax || bytes > groupBytesMax)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #group(calls: readonly Call[]): Promise<void> {
    const beganMs = this.#parts.clock.monotonicMs();
    const now = this.#now();
    const isFirst = !this.#parts.housekeeping.isRunRecorded;
    const flight = this.#write(calls, now);
    this.#flight = flight.then(() => {});
    const written = await flight;
    this.#flight = null;
    if (written === null) return;
    this.#parts.writer.committed(now);
    if (calls.length > 0) this.counts.seconds.observe((this.#parts.clock.monotonicMs() - beganMs) / 1000);
    for (let i = 0; i < calls.length; i++) this.#tell(calls[i] as Call, written[i] as readonly Written[]);
    // That the store is in use must be known without the log too.
    if (isFirst || this.#parts.file.walPages >= checkpointPages) await this.#checkpoint(0);
  }

  #now(): Now {
    return { wallMs: this.#parts.clock.wallMs(), ageMs: this.#parts.age.nowMs() };
  }

  /** Commits, and waits for the disk where it has to; null: that failed, and the calls are answered. */
  async #write(calls: readonly Call[], now: Now): Promise<readonly (readonly Written[])[] | null> {
    const { file, durability } = this.#parts;
    let written: readonly (readonly Written[])[];
    try {
      written = this.#transact(calls, now);
    } catch (error) {
      const trouble = this.#troubleOf(error);
      if (trouble.kind !== "full" || !(await this.#relieved())) return this.#fail(trouble, calls);
      try {
        written = this.#transact(calls, now);
      } catch (again) {
        return this.#fail(this.#troubleOf(again), calls);
      }
    }
    if (calls.length === 0 || durability === "normal") return written;
    try {
      await file.sync();
    } catch (cause) {
      return this.#giveUp(cause, calls);
    }
    this.#isDirty = false;
    return written;
  }

  #transact(calls: readonly Call[], now: Now): readonly (readonly Written[])[] {
    const { file, writer, housekeeping } = this.#parts;
    const { begin, commit, rollback } = file.statements;
    try {
      begin.run();
      const written = calls.map(({ batches }) => batches.map((batch) => writer.write(batch, now)));
      housekeeping.run(now);
      commit.run();
      housekeeping.ended(true);
      this.counts.commits++;
      this.#isDirty = true;
      return written;
    } catch (error) {
      // SQLite may have undone it already.
      if (file.db.inTransaction) rollback.run();
      writer.undone();
      housekeeping.ended(false);
      throw error;
    }
  }

  /** A full disk may have room in the write-ahead log, once that begins anew. */
  async #relieved(): Promise<boolean> {
    if (this.#parts.file.walPages === 0) return false;
    await this.#checkpoint(0);
    return this.#fault === null;
  }

  async #checkpoint(shrinkPages: number): Promise<void> {
    const { file } = this.#parts;
    try {
      if (shrinkPages > 0) {
        file.shrink(shrinkPages);
        this.#isDirty = true;
      }
      if (this.#isDirty) await file.sync();
      this.#isDirty = false;
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble?.kind !== "full") return void this.#giveUp(error, []);
    }
    try {
      await file.checkpoint();
      this.counts.checkpoints++;
    } catch (error) {
      // What SQLite says left everything as it was; what the system says of a sync did not.
      const trouble = this.#troubleOf(error);
      if (trouble.cause instanceof Error && "syscall" in trouble.cause) this.#giveUp(error, []);
      else this.#fail(trouble, []);
    }
  }

  async #probe(): Promise<boolean> {
    const { file, housekeeping } = this.#parts;
    try {
      if (file.walPages > 0) {
        await file.sync();
        await file.checkpoint();
      }
      housekeeping.probe(this.#now());
      await file.sync();
    } catch (error) {
      const trouble = this.#troubleOf(error);
      if (trouble.kind === "damaged") this.#fail(trouble, []);
      return false;
    }
    this.#fault = null;
    return true;
  }

  #tell({ batches, settle }: Call, written: readonly Written[]): void {
    assert(written.length === batches.length, "every batch is answered");
    for (const { event } of written) {
      if (event === null) continue;
      try {
        this.#parts.announce(event);
      } catch (error) {
        this.#parts.logger.error("fault while a message was announced", { error });
      }
    }
    settle(written.map(({ appended }) => appended));
  }

  #troubleOf(error: unknown): StoreTrouble {
    return troubleOf(error) ?? new StoreTrouble("failed", String(error), { cause: error });
  }

  /** Nothing of it was done. */
  #fail(trouble: StoreTrouble, calls: readonly Call[]): null {
    this.#refuse(calls, errors.unavailable);
    this.#setFault({ trouble, isFinal: trouble.kind === "damaged" });
    return null;
  }

  /**
   * The disk did not take what the system had taken. Nobody knows what of it is there, and a later success would not say either: it
   * is for the next start to find out, from what is really on disk.
   */
  #giveUp(cause: unknown, calls: readonly Call[]): null {
    this.#refuse(calls, errors.outcomeUnknown);
    const problem = cause instanceof Error ? cause.message : String(cause);
    const trouble = new StoreTrouble("failed", `The disk failed to take what was written: ${problem}`, { cause });
    this.#setFault({ trouble, isFinal: true });
    return null;
  }

  #setFault(fault: Fault): void {
    const isNews = this.#fault === null || (fault.isFinal && !this.#fault.isFinal);
    if (isNews) this.#fault = fault;
    this.#refuse(this.#queue.splice(0), errors.unavailable);
    if (isNews) this.#parts.onTrouble(fault.trouble);
  }

  #refuse(calls: readonly Call[], error: ErrorCode): void {
    for (const { batches, settle } of calls) {
      settle(batches.map(() => ({ error })));
    }
  }
}
