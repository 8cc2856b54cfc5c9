/**
 * The broker contract: it orders, keeps and exchanges messages. `test/contract/broker.ts` is the suite that every
 * implementation passes.
 *
 * - **Order.** Offsets of a tag count 1, 2, 3 … without holes within an epoch, stamped by the broker in the order of
 *   `append`. The feed hands the messages of a tag on in that order, on every instance, the publishing one included.
 * - **Atomicity.** Checking the idempotency key, stamping, storing and announcing a batch is one step.
 * - **Loss.** The feed may lose, repeat or lag (it is pub/sub on some brokers); the log does not. Whoever reads the
 *   feed compares offsets and reads holes from `history`; what is lost without a later message to show it, the reader
 *   finds by `comparison`, from time to time and upon `Feed.resynced`.
 * - **Answers** are values where the broker is in this process and promises where it is not: `lib/settle.ts` handles
 *   both without a promise per message.
 * - **Ownership.** Bodies handed to the broker are its own from then on and are never written to again by anybody.
 */
import type { ErrorCode } from "../core/codes.ts";
import type { Shared } from "../core/shared.ts";
import type { TagRule } from "../core/tag-rule.ts";
import type { Body } from "../wire/messages.ts";

export type Answer<T> = T | Promise<T>;

/** A message to append. The publisher's own fields (whom to answer) ride along: brokers neither read nor send them. */
export interface Draft {
  readonly body: Body;
  /** Idempotency key: subject and id, one string; null: none. */
  readonly key: string | null;
}

/** What one event-loop turn publishes to one tag. */
export interface Batch<D extends Draft = Draft> {
  readonly app: string;
  readonly tag: string;
  /** A rule with a log. */
  readonly rule: TagRule;
  readonly drafts: readonly D[];
}

/** The answer for one batch: a position per draft (a repeated key gets the first one's), or why the whole batch was refused. */
export type Appended =
  | { readonly positions: readonly AppendedPosition[]; readonly error?: undefined }
  | { readonly error: ErrorCode; readonly positions?: undefined };

export interface AppendedPosition {
  readonly epoch: number;
  readonly offset: number;
  /** True: the key was seen before, nothing was appended or announced. */
  readonly repeated: boolean;
}

/** A kept message. */
export interface Stored extends Body {
  readonly offset: number;
  /** When it was appended, milliseconds since 1970 by the broker's clock. */
  readonly timeMs: number;
}

/** Part of a log, oldest first. */
export interface Page {
  /** Never 0, also for a tag that nothing was published to. */
  readonly epoch: number;
  /** Offset of the newest message ever appended in this epoch, 0 if none. */
  readonly top: number;
  /** Offset of the oldest message still held, `top + 1` if none. */
  readonly oldest: number;
  /** Messages with offset > `after`, contiguous; the first may be later than `after + 1` where the log was trimmed. */
  readonly messages: readonly Stored[];
  /** The epoch before this one and how far it reached, if the broker knows: positions in it up to `offset` can be honoured. */
  readonly previous?: { readonly epoch: number; readonly offset: number };
}

/** What the broker tells this instance. Called in the order of the log, never re-entrantly from within `subscribe`. */
export interface Feed {
  /**
   * Messages `first`, `first + 1`, … of a tag that this instance has interest in. `batch` is the very object given to
   * `append` where this instance published them, else null; `drafts` then holds, for each message, its index in `batch.drafts`.
   */
  messages(event: FeedEvent): void;
  /** Members of a tag changed, here or elsewhere. */
  presence(event: PresenceEvent): void;
  /** A live-only message that another instance published: at most once, in order per origin and tag. */
  relayed(event: RelayedMessage): void;
  /**
   * Events of any kind may have been lost until now: every log is to be compared with the broker, members read again,
   * interest that was refused meanwhile asked for again. Interest that was confirmed before holds by then without that.
   */
  resynced(event: Resync): void;
}

export interface RelayedMessage {
  readonly app: string;
  readonly tag: string;
  /**
   * Its bytes are a view that holds only until `relayed` returns. Null: some that the other instance published did not get
   * here, and it could not say so before.
   */
  readonly body: Body | null;
}

export interface Resync {
  /** Whether relayed messages may have been lost too: their subscribers are told so. */
  readonly relayed: boolean;
}

export interface FeedEvent {
  readonly app: string;
  readonly tag: string;
  readonly epoch: number;
  readonly first: number;
  readonly messages: readonly Stored[];
  readonly batch: Batch | null;
  readonly drafts: readonly number[] | null;
}

/** One subscribed connection. `(client, generation)` is its identity: a late leave never erases a newer join. */
export interface Member {
  readonly client: string;
  /** Unique per connection and growing, across instances and restarts. */
  readonly generation: number;
  /** MessagePack bytes, or null. */
  readonly info: Uint8Array | null;
}

export interface PresenceEvent {
  readonly app: string;
  readonly tag: string;
  /** Grows with each change of the tag's members. */
  readonly version: number;
  readonly joined: readonly Member[];
  readonly left: readonly Member[];
  /** Members after the change. */
  readonly count: number;
}

export interface Members {
  readonly version: number;
  readonly count: number;
  /** Null above `membersListedMax` (core/presence.ts). */
  readonly members: readonly Member[] | null;
}

export interface Broker {
  /** Called once, before anything else. */
  start(feed: Feed): Answer<void>;
  /** Stops taking work; what was acknowledged stays kept as far as the broker keeps anything. */
  stop(): Answer<void>;
  /** Whether appends and subscriptions can succeed now. */
  ready(): boolean;

  /**
   * Appends what one turn published: one answer per batch, in order. A rejected promise means: outcome unknown. While it is not
   * `ready` each batch is answered with `unavailable`.
   */
  append<D extends Draft>(batches: readonly Batch<D>[]): Answer<readonly Appended[]>;

  /**
   * Interest of this instance in a tag or pattern; confirmed when the answer settles. Counted by the caller, not here.
   * Rejected within seconds where the broker is away: it is not held then, and the caller asks again upon `Feed.resynced`.
   */
  subscribe(app: string, pattern: string): Answer<void>;
  /** Also of interest that was never confirmed, or is not held. */
  unsubscribe(app: string, pattern: string): void;

  /**
   * Messages of the log with offset > `after`, at most `limits`, at least one where there is one. Creates the epoch of an
   * empty tag. `limits.count` 0 reads the position alone.
   */
  history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Answer<Page>;

  /** Positions of tags with a log that match a pattern, at most `limit` (and whether there are more), in no order. */
  logs(
    app: string,
    pattern: string,
    limit: number,
  ): Answer<{ readonly logs: readonly LogPosition[]; readonly more: boolean }>;

  join(app: string, tag: string, member: Member): Answer<void>;
  leave(app: string, tag: string, member: Member): Answer<void>;
  members(app: string, tag: string): Answer<Members>;

  /** Live-only messages for other instances; absent where there are none. Never throws: at most once. */
  readonly relay?: (app: string, tag: string, body: Body) => void;

  /** What instances have in common beside messages; absent where there is only this one. */
  readonly shared?: Shared;

  /** Absent where the feed loses nothing. */
  readonly comparison?: Comparison;
}

/** What logs are compared by, without reading them. Creates no epoch, counts as no use, and is never cached. */
export interface Comparison {
  /** Positions of logs, one per tag, in order, in as few commands as possible; null: the broker holds no such log. At most 512 tags. */
  tops(app: string, tags: readonly string[]): Answer<readonly (LogTop | null)[]>;
  /**
   * Logs appended to within the last `withinMs`, by the broker's clock; more of them do no harm, but each of those that were. At
   * most `limit`; `more`: not all of them are listed, because they are too many or the broker does not remember as far back.
   * Costs what was appended to, not what is kept.
   */
  changed(
    app: string,
    withinMs: number,
    limit: number,
  ): Answer<{ readonly logs: readonly NamedTop[]; readonly more: boolean }>;
}

export interface LogTop {
  readonly epoch: number;
  readonly top: number;
}

export interface NamedTop extends LogTop {
  readonly tag: string;
}

export interface PageLimits {
  readonly count: number;
  readonly bytes: number;
}

export interface LogPosition extends NamedTop {
  readonly oldest: number;
}
