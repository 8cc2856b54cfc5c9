/** An open store: its file, and what this process knows of it. Made anew as a whole where the file is. */
import type { Logger } from "../../core/logger.ts";
import type { TagRule } from "../../core/tag-rule.ts";
import type { Clock } from "../../lib/clock.ts";
import type { FeedEvent, LogPosition, Page, PageLimits } from "../broker.ts";
import { IdempotencyKeys } from "../memory/idempotency.ts";
import type { Interest } from "../memory/interest.ts";
import { AgeClock, ageAtStart, type Uptime } from "./age.ts";
import { type CommitCounts, Commits } from "./commits.ts";
import { keepWal, verify } from "./damage.ts";
import { Housekeeping } from "./housekeeping.ts";
import { loadKeys } from "./keys.ts";
import { StoredLog } from "./log.ts";
import { StoredLogs } from "./logs.ts";
import { readPage } from "./reading.ts";
import { type Durability, mayHaveLost, readRun, type Run } from "./run.ts";
import { type Flush, guarded, openStoreFile, type StoreFile, walOf } from "./store-file.ts";
import { Trimming } from "./trimming.ts";
import { type StoreTrouble, troubleOf } from "./trouble.ts";
import { inspectWal, type WalState } from "./wal.ts";
import { type Now, Writer } from "./writer.ts";

export interface StoreOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly durability: Durability;
  readonly logsMaxBytes: number;
  readonly logsMax: number;
  readonly idempotencyWindowMs: number;
  readonly idempotencyKeysMax: number;
  readonly uptime: () => Uptime;
  /** Replaced only by tests that cut the power. */
  readonly flush?: Flush;
}

export interface StoreListener {
  readonly interest: Interest;
  readonly counts: CommitCounts;
  readonly announce: (event: FeedEvent) => void;
  readonly onTrouble: (trouble: StoreTrouble) => void;
}

/** What has to be free beside the largest message. */
const messageOverheadBytes = 64 * 1024;
/** Without a commit for so long, all of the write-ahead log is brought into the database. */
const restAfterMs = 5000;

/** @throws StoreTrouble */
export function openStore(options: StoreOptions, listener: StoreListener): Store {
  const { path, flush } = options;
  const file = openStoreFile(path, flush && { flush });
  try {
    const wal = inspect(options);
    broughtTogether(file, options.logger);
    return guarded(() => new Store({ options, listener, file, wal }));
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Nobody else writes to it by now. */
function inspect({ path, clock, logger }: StoreOptions): WalState {
  const state = guarded(() => inspectWal(walOf(path)));
  if (state === "cut") {
    const copy = keepWal(path, clock.wallMs());
    logger.error("the end of the store's write-ahead log cannot be used, a copy is kept", { copy });
  }
  return state;
}

/** Brings what was left in the write-ahead log into the database, so that this can be looked at. */
function broughtTogether(file: StoreFile, logger: Logger): void {
  try {
    guarded(() => file.statements.checkpoint.get());
  } catch (error) {
    if (troubleOf(error)?.kind === "damaged") throw error;
    return logger.warn("the store was not verified, since its write-ahead log could not be worked in", { error });
  }
  verify(file);
}

interface StoreParts {
  readonly options: StoreOptions;
  readonly listener: StoreListener;
  readonly file: StoreFile;
  readonly wal: WalState;
}

export class Store {
  readonly file: StoreFile;
  readonly commits: Commits;
  readonly keys: IdempotencyKeys;
  readonly logs: StoredLogs;
  readonly #options: StoreOptions;
  readonly #age: AgeClock;
  readonly #trimming: Trimming;
  readonly #housekeeping: Housekeeping;
  /** Commits as of the last sweep, and when there was one more. */
  #commitsSeen = 0;
  #committedAtMs: number;

  /** Use `openStore`. */
  constructor({ options, listener, file, wal }: StoreParts) {
    const { clock, durability, logsMax, logsMaxBytes, idempotencyWindowMs, idempotencyKeysMax, uptime } = options;
    this.#options = options;
    this.file = file;
    this.#committedAtMs = clock.monotonicMs();
    const run = readRun(file.statements);
    this.#age = new AgeClock(clock, ageNow(file, run, options));
    this.keys = new IdempotencyKeys({ idempotencyWindowMs, idempotencyKeysMax });
    this.logs = new StoredLogs(file.statements, logsMax, (log) => {
      this.keys.drop(log);
      this.#trimming.discard(log);
    });
    this.#trimming = new Trimming({ file, logs: this.logs, logsMaxBytes });
    const { logs, keys } = this;
    const messageMaxBytes = logsMaxBytes - messageOverheadBytes;
    const trimming = this.#trimming;
    const { interest, counts, announce, onTrouble } = listener;
    const writer = new Writer({ statements: file.statements, logs, trimming, keys, interest, messageMaxBytes });
    const kept = { file, logs, trimming, keys, writer, idempotencyWindowMs, durability, uptime };
    this.#housekeeping = new Housekeeping(kept);
    this.commits = new Commits({
      ...{ file, writer, clock, durability, counts, announce, onTrouble },
      housekeeping: this.#housekeeping,
      age: this.#age,
      logger: options.logger,
    });
    this.#load(mayHaveLost(run, wal, uptime().boot));
  }

  /** Reads which logs there are, and which keys. `isLost`: what they hold may be less than what was told of them. */
  #load(isLost: boolean): void {
    const { statements } = this.file;
    const logs = new Map<number, StoredLog>();
    for (const row of statements.logs.iterate()) {
      let log = StoredLog.of(row);
      if (isLost && !log.isGone) {
        log.load(statements);
        log = log.inNewEpoch();
        this.#housekeeping.save(log);
      }
      this.logs.add(log);
      if (log.isGone) this.#trimming.discard(log);
      else logs.set(log.id, log);
    }
    loadKeys(this.keys, logs, statements, this.#age.nowMs() - this.#options.idempotencyWindowMs);
    if (!isLost || logs.size === 0) return;
    this.#options.logger.warn("the store may have lost its newest messages, its logs begin new epochs", {
      logs: logs.size,
    });
  }

  /** Bytes of pages in use. */
  get usedBytes(): number {
    return this.file.usedBytes;
  }

  get sizes(): { readonly fileBytes: number; readonly walBytes: number } {
    return this.file.sizes;
  }

  /** At once, whatever is on its way to the disk. @throws StoreTrouble */
  history(
    { app, tag, rule }: { readonly app: string; readonly tag: string; readonly rule: TagRule },
    after: number,
    limits: PageLimits,
  ): Page {
    return guarded(() => {
      const log = this.logs.open(app, tag);
      this.#trimming.trim(log, rule, this.#age.nowMs());
      this.logs.place(log);
      this.#housekeeping.save(log);
      return readPage(this.file.statements, log, after, limits);
    });
  }

  find(app: string, pattern: string, limit: number): { logs: LogPosition[]; more: boolean } {
    const nowMs = this.#age.nowMs();
    return guarded(() => this.logs.find({ app, pattern, limit }, (log) => this.#trimming.trimByAge(log, nowMs)));
  }

  /** Once a second. @throws StoreTrouble */
  sweep(): void {
    guarded(() => {
      const { commits } = this;
      const nowMs = this.#options.clock.monotonicMs();
      if (commits.counts.commits !== this.#commitsSeen) {
        this.#commitsSeen = commits.counts.commits;
        this.#committedAtMs = nowMs;
      }
      if (this.#options.durability === "normal") commits.syncLater();
      if (this.#housekeeping.sweep(this.#now())) return commits.tidy();
      const { surplusPages } = this.#housekeeping;
      const isResting = nowMs - this.#committedAtMs >= restAfterMs && this.file.walPages > 0;
      if (isResting || surplusPages > 0) commits.rest(surplusPages);
    });
  }

  /** Takes no more; settles once all of it is on disk and the file is let go. */
  async stop(): Promise<void> {
    await this.commits.stop();
    if (this.commits.fault?.isFinal === true) return;
    try {
      this.#housekeeping.finish(this.#now());
    } catch (error) {
      this.#options.logger.warn("the end of the store's use could not be written down", { error });
    }
    this.close();
  }

  /** Lets go of the file, come what may. */
  close(): void {
    try {
      this.file.close();
    } catch (error) {
      this.#options.logger.warn("the store could not be closed in order", { error });
    }
  }

  #now(): Now {
    return { wallMs: this.#options.clock.wallMs(), ageMs: this.#age.nowMs() };
  }
}

function ageNow({ statements }: StoreFile, run: Run | null, { clock, uptime }: StoreOptions): number {
  const turn = statements.newestTurn.get();
  const last = turn === null ? null : { ageMs: turn.age, wallMs: turn.wall };
  return ageAtStart(run?.start ?? null, last, { wallMs: clock.wallMs(), uptime: uptime() });
}
