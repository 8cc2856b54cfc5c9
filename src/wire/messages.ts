/**
 * The messages of wire version 1 as values. Both forms (MessagePack and JSON text) carry the same arrays;
 * `docs/protocol.md` is normative. Payloads and metas stay MessagePack bytes inside the server, whatever form they came in.
 */
import type { Position } from "../core/position.ts";

export const wireVersion = 1;
export const subprotocols = { msgpack: "tagcast.v1.msgpack", json: "tagcast.v1.json" } as const;
/** One form of the wire. */
export type Lane = keyof typeof subprotocols;

/** A frame that the server makes of several messages is at most this long; a longer message goes alone. */
export const gatheredFrameMax = 4096;

export const op = {
  connect: 1,
  subscribe: 2,
  unsubscribe: 3,
  publish: 4,
  history: 5,
  presence: 6,
  refresh: 7,
  ping: 9,
  ok: 16,
  error: 17,
  message: 18,
  presenceChange: 19,
  gap: 20,
  unsubscribed: 21,
  disconnect: 22,
} as const;

/** Bounds on what a client may send; each is checked before anything is allocated. */
export interface WireLimits {
  /** Bytes of one payload. */
  readonly payloadMaxBytes: number;
  /** Levels of nesting in a payload. */
  readonly depthMax: number;
}

/** Fixed bounds of the wire (docs/protocol.md, "Limits"). */
export const wireLimits = {
  tokenBytesMax: 8192,
  clientBytesMax: 64,
  idBytesMax: 32,
  tagsPerPublishMax: 16,
  sincePerPatternMax: 256,
  presenceInfoBytesMax: 256,
  historyLimitMax: 1000,
  /** Bytes of an options map, beside the token. */
  optionsBytesMax: 81920,
  optionsDepthMax: 8,
  /** Heartbeat intervals that a client may wish for. */
  pingSecondsMin: 10,
  pingSecondsMax: 900,
} as const;

export interface ConnectMessage {
  readonly op: typeof op.connect;
  readonly ref: number;
  readonly token: string | null;
  readonly client: string | null;
  /** False: publishes of this connection are not delivered to itself. Null: as it was. */
  readonly echo: boolean | null;
  /** Wished heartbeat interval in seconds. */
  readonly ping: number | null;
  /** Whether aliases may stand for tags. */
  readonly alias: boolean | null;
}

export interface SubscribeMessage {
  readonly op: typeof op.subscribe;
  readonly ref: number;
  readonly pattern: string;
  /** A position for a tag, a map tag → position for a pattern with wildcards. */
  readonly since: Position | ReadonlyMap<string, Position> | null;
  /** The newest `last` messages of each log. */
  readonly last: number | null;
  /** Deliver op 19 for this tag. */
  readonly presence: boolean;
  /** MessagePack bytes of what members see beside the client name, or null. */
  readonly info: Uint8Array | null;
}

export interface UnsubscribeMessage {
  readonly op: typeof op.unsubscribe;
  readonly ref: number;
  readonly pattern: string;
}

/**
 * A publish as a view on the frame it came in. The reader reuses one object: every field is valid only until the next
 * message is read. `frame` may be kept (Bun hands out a fresh copy per frame), the offsets must be copied.
 */
export interface PublishMessage {
  readonly op: typeof op.publish;
  readonly ref: number;
  readonly frame: Uint8Array;
  /** Extent of the UTF-8 bytes of the tag; both 0 where several tags were named. Not yet checked for UTF-8 or wildcards. */
  readonly tagStart: number;
  readonly tagEnd: number;
  /** An alias in place of a tag, whose extent is then 0; −1: none. */
  readonly alias: number;
  /** Several tags (1–16), checked to be well-formed UTF-8, or null. */
  readonly tags: readonly string[] | null;
  /** Extent of the payload's MessagePack bytes in `frame`. */
  readonly payloadStart: number;
  readonly payloadEnd: number;
  readonly options: PublishOptions | null;
}

export interface PublishOptions {
  /** Idempotency key, 1–32 bytes: text, or bytes rendered as latin1. */
  readonly id: string | null;
  readonly echo: boolean | null;
  /** Reply tag, handed to subscribers as `meta.reply`. */
  readonly reply: string | null;
}

export interface HistoryMessage {
  readonly op: typeof op.history;
  readonly ref: number;
  readonly tag: string;
  /** Messages after this position; null: from the oldest (or with `last`, the newest ones). */
  readonly since: Position | null;
  readonly last: number | null;
  readonly limit: number | null;
}

export interface PresenceMessage {
  readonly op: typeof op.presence;
  readonly ref: number;
  readonly tag: string;
}

export interface RefreshMessage {
  readonly op: typeof op.refresh;
  readonly ref: number;
  readonly token: string;
}

export interface PingMessage {
  readonly op: typeof op.ping;
  readonly ref: number;
}

export type ClientMessage =
  | ConnectMessage
  | SubscribeMessage
  | UnsubscribeMessage
  | PublishMessage
  | HistoryMessage
  | PresenceMessage
  | RefreshMessage
  | PingMessage;

/**
 * Reads the messages of one frame, one after the other. Reused for every frame of a lane: `load`, then `next` until null.
 * `next` throws `ProtocolError` for the message at hand. After an error whose extent was still found (an unknown op, a
 * bad field) `recoverable` is true and `next` may be called again; else the rest of the frame is lost.
 */
export interface ClientMessageReader {
  load(frame: Uint8Array | string): void;
  next(): ClientMessage | null;
  /** What is left of the frame behind the last message read, or null. Ends the reading of this frame. */
  rest(): Uint8Array | string | null;
  /** Ref of the message that `next` failed on, 0 where it could not be read. */
  readonly failedRef: number;
  readonly recoverable: boolean;
}

/** Bytes that are one finished MessagePack value, to be placed into a result as they are (on the JSON lane: rendered). */
export class Raw {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** What may stand in the result of op 16: plain data, `Raw` for payloads. Integers are written in their shortest form. */
export type ResultValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | Raw
  | readonly ResultValue[]
  | ReadonlyMap<string, ResultValue>
  | { readonly [key: string]: ResultValue | undefined };

/**
 * A message as brokers keep it and sinks send it: `bytes` is the payload followed by the meta map (nothing where there
 * is no meta), both finished MessagePack. Owned: never a view on a client's frame.
 */
export interface Body {
  readonly bytes: Uint8Array;
  /** Bytes of `bytes` that are the payload; equal to `bytes.length` where there is no meta. */
  readonly payloadLength: number;
}
