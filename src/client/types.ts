/** What applications see of the SDK beside its classes: options, messages, events. */
import type { Position } from "../core/position.ts";
import type { TagcastError } from "./errors.ts";
import type { Timers } from "./timers.ts";

/** `connecting` → `active` ⇄ `waiting` (for the next attempt) → `closed` for good. */
export type ClientState = "connecting" | "active" | "waiting" | "closed";

export interface ConnectOptions {
  /** A JWT or managed token, or where to get one: asked at the first connect, before the token expires, and when it has. */
  readonly token?: string | (() => string | Promise<string>);
  /** Client name, 1–64 bytes, where the token leaves the choice. */
  readonly client?: string;
  /** False: what this client publishes is not delivered to itself. */
  readonly echo?: boolean;
  /** Heartbeat interval to ask for: 10–900 seconds. */
  readonly ping?: number;
  /** Publishes that may wait for their acknowledgement. Default 10,000. */
  readonly queueMaxMessages?: number;
  /** Bytes of these. Default 8 MiB. */
  readonly queueMaxBytes?: number;
  /** Bounds of the delay before a reconnect. Default 500 ms … 20 s. */
  readonly backoff?: { readonly minMs: number; readonly maxMs: number };
  /** Hand payloads on as `Raw` MessagePack bytes instead of decoding them. */
  readonly raw?: boolean;
  /** For tests and other runtimes. */
  readonly webSocket?: WebSocketConstructor;
  readonly random?: () => number;
  readonly timers?: Timers;
}

/** The part of the WebSocket interface that the SDK uses. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(frame: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

export interface Message<T = unknown> {
  readonly tag: string;
  /**
   * The decoded payload; with the option `raw` its MessagePack bytes. Integers beyond 2^53 lose precision, byte strings
   * are views that must not be written to, a map with other than text or number keys is a `Map`.
   */
  readonly payload: T;
  /** Null where the tag keeps no log. */
  readonly offset: number | null;
  readonly position: Position | null;
  /** `reply`: where an answer is awaited; `id`: shared by the copies of a publish to several tags. */
  readonly meta: MessageMeta | null;
  /** The pattern with wildcards it came through, null where the subscription names the tag itself. */
  readonly pattern: string | null;
}

export interface MessageMeta {
  readonly reply?: string;
  readonly id?: string;
  readonly [key: string]: unknown;
}

export interface SubscribeOptions {
  /** Deliver what came after: a position for a tag; positions by tag for a pattern with wildcards (at most 256). */
  readonly since?: Position | ReadonlyMap<string, Position>;
  /** Deliver the newest `last` messages of each log first. */
  readonly last?: number;
  /** Tell who is subscribed to this tag, by `presence` events. */
  readonly presence?: boolean;
  /** What other members see beside the client name: at most 256 bytes of MessagePack. */
  readonly info?: unknown;
  /** Messages that wait for the async iterator before delivery is interrupted. Default 1,024. */
  readonly bufferMax?: number;
}

export interface SubscriptionEvents {
  gap: Gap;
  presence: PresenceChange;
  /** The server took the subscription up, for the first time or again. */
  active: SubscribeResult;
}

/**
 * One subscription, kept over reconnects. Messages go to the callback given to `subscribe`, or else to the one async
 * iterator, which ends the subscription when it is left.
 */
export interface Subscription<T = unknown> extends AsyncIterable<Message<T>> {
  readonly pattern: string;
  /** The first answer of the server; rejects where it refuses. */
  readonly ready: Promise<SubscribeResult>;
  /** Settles when the subscription is over: null where the application ended it, else why. Never rejects. */
  readonly ended: Promise<TagcastError | null>;
  /** Newest message handed on of the tag; null without a log and for wildcards. Store `message.position` instead where a buffered one must not count. */
  readonly position: Position | null;
  /** The same for every tag known, to be given to `since` later. */
  readonly positions: ReadonlyMap<string, Position>;
  /** Who is subscribed, where `presence` was asked for. */
  readonly presence: Members | null;
  /** Registers a listener; the returned function removes it. */
  on<Name extends keyof SubscriptionEvents>(
    name: Name,
    listener: (event: SubscriptionEvents[Name]) => void,
  ): () => void;
  /** Ends it; resolves when the server has confirmed it or the connection is gone. */
  unsubscribe(): Promise<void>;
}

export interface SubscribeResult {
  /** Newest message of the tag's log; null without a log and for wildcards. */
  readonly position: Position | null;
  /** With `since` for a tag: whether nothing is missing. */
  readonly recovered: boolean | null;
  readonly presence: Members | null;
}

/** Why messages are missing. Other than `told` the SDK found it itself. */
export type GapReason =
  /** The server said so; `code` is one of 200–299. */
  | "told"
  /** Offsets jumped. */
  | "jump"
  /** The log no longer holds what came while this client was away. */
  | "not-recovered"
  /** The token grants no history, so what came while this client was away cannot be read. */
  | "denied"
  /** What came while this client was away is not known: the tag keeps no log, or there are too many tags. */
  | "away"
  /** The async iterator was read too slowly, and the tag keeps no log. */
  | "overflow";

export interface Gap {
  /** The tag, or the pattern where no single tag can be named. */
  readonly tag: string;
  /** The pattern of the subscription that misses messages. */
  readonly pattern: string;
  readonly reason: GapReason;
  /** First and last missing offset; null where unknown or without a log. */
  readonly from: number | null;
  readonly to: number | null;
  readonly code: number | null;
  /** How many messages, where the server counted them. */
  readonly count: number | null;
  /** Given where another epoch began. */
  readonly epoch: number | null;
}

export interface Member {
  readonly client: string;
  /** Unique per connection, growing. */
  readonly generation: number;
  readonly info: unknown;
}

export interface Members {
  readonly version: number;
  readonly count: number;
  /** Null where there are too many to list. */
  readonly members: readonly Member[] | null;
}

export interface PresenceChange extends Members {
  readonly tag: string;
  readonly joined: readonly Member[];
  readonly left: readonly Member[];
}

export interface PublishOptions {
  /** Idempotency key, 1–32 bytes. Default: one of its own for every publish. */
  readonly id?: string | Uint8Array;
  /** False: not delivered to this client. */
  readonly echo?: boolean;
  /** Tag to answer to, handed on as `meta.reply`. */
  readonly reply?: string;
  /** False: at most once. Resolves when the message has left, without an answer from the server. */
  readonly ack?: boolean;
}

export interface Published {
  /** Null where the tag keeps no log. */
  readonly position: Position | null;
  /** True: the server had this id before, nothing new was published. */
  readonly repeated: boolean;
}

export interface HistoryOptions {
  /** Messages after this position. */
  readonly since?: Position;
  /** Only the newest `last`. */
  readonly last?: number;
  /** Messages per page, 1–1000. Default 100. A page also ends at 64 KiB. */
  readonly limit?: number;
}

export interface HistoryMessage<T = unknown> extends Message<T> {
  readonly offset: number;
  readonly position: Position;
  /** When the server got it, milliseconds since 1970. */
  readonly timeMs: number;
}

export interface HistoryPage<T = unknown> {
  /** Newest message of the log. */
  readonly position: Position;
  /** Oldest first. */
  readonly messages: readonly HistoryMessage<T>[];
  /** Whether messages follow the last one here. */
  readonly more: boolean;
  /** With `since`: whether nothing is missing before the first message. */
  readonly recovered: boolean | null;
}

export interface RequestOptions {
  /** Default 10,000. */
  readonly timeoutMs?: number;
}

export interface ClientEvents {
  state: ClientState;
  gap: Gap;
  /** Trouble that the SDK deals with itself (a lost connection, a token callback that failed), and errors of publishes without acknowledgement. */
  error: TagcastError;
}
