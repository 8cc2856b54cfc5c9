/**
 * The broker of one process with a disk: logs and keys in a SQLite file, interest and presence in memory. What is told of a
 * message, and that it is acknowledged, waits until the message is on disk. What stands where is in `sqlite/`.
 */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { TagRule } from "../core/tag-rule.ts";
import { accessSync, constants } from "node:fs";
import { dirname, resolve } from "node:path";
import { assert } from "../lib/assert.ts";
import type { Timer } from "../lib/clock.ts";
import { Histogram } from "../lib/histogram.ts";
import type {
  Answer,
  Appended,
  Batch,
  Broker,
  Draft,
  Feed,
  LogPosition,
  Member,
  Members,
  Page,
  PageLimits,
} from "./broker.ts";
import { Interest } from "./memory/interest.ts";
import { Presence } from "./memory/presence.ts";
import { systemUptime } from "./sqlite/age.ts";
import type { CommitCounts } from "./sqlite/commits.ts";
import { setAside } from "./sqlite/damage.ts";
import { openStore, type Store, type StoreOptions } from "./sqlite/store.ts";
import { StoreTrouble, troubleOf } from "./sqlite/trouble.ts";

/** `uptime` and `idempotencyKeysMax` have defaults. */
export type SqliteBrokerOptions = Omit<StoreOptions, "uptime" | "idempotencyKeysMax"> &
  Partial<Pick<StoreOptions, "uptime" | "idempotencyKeysMax">>;

/** The state of the store, for metrics. */
export interface StoreStats {
  /** Whether it can be written. */
  readonly isWritable: boolean;
  /** Why not; null: it can. */
  readonly trouble: string | null;
  readonly fileBytes: number;
  readonly walBytes: number;
  readonly commits: number;
  readonly checkpoints: number;
  /** Files set aside since the start. */
  readonly setAside: number;
}

export interface SqliteStats {
  readonly logs: number;
  /** Not counted: not a number. */
  readonly messages: number;
  /** Of pages in use, as `logsMaxBytes` counts. */
  readonly bytes: number;
  readonly idempotencyKeys: number;
  readonly idempotencyKeysForgotten: number;
  readonly members: number;
  readonly store: StoreStats;
}

/** `stats` is for metrics and costs little. */
export interface SqliteBroker extends Broker {
  stop(): Promise<void>;
  stats(): SqliteStats;
  /** Seconds until a group of messages was on disk. */
  readonly commitSeconds: Histogram;
}

const sweepIntervalMs = 1000;
/** Seconds. */
const commitBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export function openSqliteBroker(options: SqliteBrokerOptions): SqliteBroker {
  return new FileBroker({ uptime: systemUptime, idempotencyKeysMax: Infinity, ...options });
}

class FileBroker implements SqliteBroker {
  readonly #options: StoreOptions;
  readonly #interest = new Interest();
  readonly #presence = new Presence((event) => this.#feed?.presence(event));
  readonly #counts: CommitCounts = { commits: 0, checkpoints: 0, seconds: new Histogram(commitBounds) };
  #feed: Feed | null = null;
  #store: Store | null = null;
  /** Why there is no store to be used, or none to be written. */
  #trouble: StoreTrouble | null = null;
  #sweep: Timer | null = null;
  #setAside = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  get commitSeconds(): Histogram {
    return this.#counts.seconds;
  }

  start(feed: Feed): void {
    assert(this.#feed === null, "a broker is started once");
    this.#feed = feed;
    this.#open();
    if (this.#trouble !== null && !mayPass(this.#trouble, this.#options.path))
      throw refusal(this.#trouble, this.#options);
    this.#sweep = this.#options.clock.every(sweepIntervalMs, () => this.#tick());
  }

  async stop(): Promise<void> {
    this.#sweep?.cancel();
    this.#sweep = null;
    await this.#store?.stop();
  }

  ready(): boolean {
    return this.#sweep !== null && this.#store !== null && this.#store.commits.fault === null;
  }

  append<D extends Draft>(batches: readonly Batch<D>[]): Answer<readonly Appended[]> {
    if (this.#store !== null && this.ready()) return this.#store.commits.append(batches);
    return batches.map(() => ({ error: errors.unavailable }));
  }

  subscribe(app: string, pattern: string): void {
    this.#interest.add(app, pattern);
  }

  unsubscribe(app: string, pattern: string): void {
    this.#interest.remove(app, pattern);
  }

  // oxlint-disable-next-line max-params -- the contract's signature
  history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Answer<Page> {
    return this.#read((store) => store.history({ app, tag, rule }, after, limits));
  }

  logs(
    app: string,
    pattern: string,
    limit: number,
  ): Answer<{ readonly logs: readonly LogPosition[]; readonly more: boolean }> {
    return this.#read((store) => store.find(app, pattern, limit));
  }

  join(app: string, tag: string, member: Member): void {
    this.#presence.join(app, tag, member);
  }

  leave(app: string, tag: string, member: Member): void {
    this.#presence.leave(app, tag, member);
  }

  members(app: string, tag: string): Members {
    return this.#presence.members(app, tag);
  }

  stats(): SqliteStats {
    const store = this.#store;
    const { commits, checkpoints } = this.#counts;
    const trouble = store?.commits.fault?.trouble ?? this.#trouble;
    return {
      logs: store?.logs.count ?? 0,
      messages: NaN,
      bytes: store?.usedBytes ?? 0,
      idempotencyKeys: store?.keys.count ?? 0,
      idempotencyKeysForgotten: store?.keys.forgotten ?? 0,
      members: this.#presence.count,
      store: {
        isWritable: this.ready(),
        trouble: trouble === null ? null : `${trouble.kind}: ${trouble.message}`,
        ...(store?.sizes ?? { fileBytes: 0, walBytes: 0 }),
        ...{ commits, checkpoints, setAside: this.#setAside },
      },
    };
  }

  /** Nothing is told before it is on disk: reads wait for what was appended before them. */
  #read<T>(use: (store: Store) => T): Answer<T> {
    const settled = this.#store?.commits.settled() ?? null;
    return settled === null ? this.#readNow(use) : settled.then(() => this.#readNow(use));
  }

  /** Rejected, never thrown: whoever reads repairs, and tries again. */
  #readNow<T>(use: (store: Store) => T): Answer<T> {
    const store = this.#store;
    if (store === null || store.commits.fault?.isFinal === true) return unavailable(this.#trouble);
    try {
      return use(store);
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble === null) throw error;
      this.#found(store, trouble);
      return unavailable(trouble);
    }
  }

  #open(): void {
    try {
      this.#openOnce();
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble === null) throw error;
      if (trouble.kind === "damaged") return this.#replace(trouble);
      this.#away(trouble);
    }
  }

  #openOnce(): void {
    this.#store = openStore(this.#options, {
      interest: this.#interest,
      counts: this.#counts,
      announce: (event) => this.#feed?.messages(event),
      onTrouble: (trouble) => this.#found(this.#store, trouble),
    });
    this.#trouble = null;
  }

  #away(trouble: StoreTrouble): void {
    if (this.#trouble?.message !== trouble.message) {
      this.#options.logger.error("the store cannot be used", { path: this.#options.path, problem: trouble.message });
    }
    this.#trouble = trouble;
  }

  /** Something is wrong with an open store. */
  #found(store: Store | null, trouble: StoreTrouble): void {
    const { logger, path } = this.#options;
    if (trouble.kind !== "damaged" || store === null) {
      const isNews = this.#trouble?.message !== trouble.message;
      this.#trouble = trouble;
      const fields = { path, kind: trouble.kind, problem: trouble.message };
      if (isNews) logger.error("the store does not work, publishes to logs are refused", fields);
      return;
    }
    if (this.#store !== store) return;
    // Whoever finds it may be in the midst of using it.
    this.#store = null;
    this.#trouble = trouble;
    const replaced = store.commits.stop().then(() => {
      store.close();
      if (this.#sweep === null) return;
      this.#replace(trouble);
      this.#back();
    });
    replaced.catch((error: unknown) => logger.error("fault while the store was replaced", { error }));
  }

  /** Never silently, and never for good: what is damaged stays on disk under another name. */
  #replace(trouble: StoreTrouble): void {
    const { logger, path, clock } = this.#options;
    try {
      const as = setAside(path, clock.wallMs());
      this.#setAside++;
      const fields = { path, as, problem: trouble.message };
      logger.error("the store was damaged and is set aside, a new one is begun", fields);
      this.#openOnce();
    } catch (error) {
      this.#away(troubleOf(error) ?? new StoreTrouble("failed", String(error), { cause: error }));
    }
  }

  /** There is a store again: its logs are not those that subscribers know. */
  #back(): void {
    if (this.#store !== null) this.#feed?.resynced({ relayed: false });
  }

  #tick(): void {
    const store = this.#store;
    if (store === null) {
      // One that is being let go of is replaced by whoever lets it go.
      if (this.#trouble?.kind === "damaged") return;
      this.#open();
      if (this.#store !== null) this.#options.logger.info("the store can be used", { path: this.#options.path });
      return this.#back();
    }
    if (store.commits.fault !== null) return this.#heal(store);
    try {
      store.sweep();
      this.#trouble = null;
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble === null) throw error;
      this.#found(store, trouble);
    }
  }

  #heal(store: Store): void {
    const { logger, path } = this.#options;
    const probed = store.commits.probe().then((isWritable) => {
      if (!isWritable) return;
      this.#trouble = null;
      logger.info("the store can be written again", { path });
    });
    probed.catch((error: unknown) => logger.error("fault while the store was tried", { error }));
  }
}

function unavailable(cause: StoreTrouble | null): Promise<never> {
  return Promise.reject(new ProtocolError(errors.unavailable, errors.unavailable.text, { cause }));
}

/** Whether it may be right again without anybody's help but that of whoever looks after the disk. */
function mayPass(trouble: StoreTrouble, path: string): boolean {
  if (trouble.kind === "full") return true;
  if (trouble.kind !== "readOnly" && trouble.kind !== "failed") return false;
  return isOnReadOnlyDisk(path) || isOnReadOnlyDisk(dirname(resolve(path)));
}

function isOnReadOnlyDisk(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EROFS";
  }
  return false;
}

function refusal(trouble: StoreTrouble, { path }: StoreOptions): Error {
  const problem =
    trouble.kind === "busy" ? "another process uses it: one store belongs to one server" : trouble.message;
  return new Error(`The store ${JSON.stringify(path)} cannot be used: ${problem}`, { cause: trouble });
}
