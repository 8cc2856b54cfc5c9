/**
 * What one client of a peer says and hears, as bytes: a protocol turns operations into messages and messages into
 * events. It knows no socket and no clock, and costs the driver as little as it can: nothing is decoded that the bench
 * does not look at.
 */

/** What a protocol writes to: whole WebSocket messages, or bytes of a TCP stream (`text` is for WebSockets alone). */
export interface Outlet {
  /** `bytes` up to `end`, as one message; copied before the call returns. */
  binary(bytes: Uint8Array, end?: number): void;
  /** The same as a text message; bytes must be UTF-8. */
  text(text: string | Uint8Array, end?: number): void;
}

/** What a protocol makes of what it hears. */
export interface Events {
  /** Connected and, where the peer asks for it, authenticated. */
  ready(): void;
  /** A subscription is confirmed, where the peer confirms; else called when it was sent. */
  subscribed(): void;
  /** Publishes were acknowledged. */
  acknowledged(count: number): void;
  /** One delivered message; the payload stands in `bytes` at `start` … `end`, valid during the call. */
  message(bytes: Uint8Array, start: number, end: number): void;
  /** The peer told that it did not deliver `count` messages (a gap). */
  told(count: number): void;
  /** A publish, subscribe or connect was refused, or what came cannot be read. */
  failed(reason: string): void;
}

export type Position = readonly [epoch: number, offset: number];

export interface SubscribeOptions {
  /** Position to continue from, as `position()` gave it. */
  readonly since?: Position;
}

/** The protocol of one connection. */
export interface Protocol {
  /** The transport is open: begins the handshake, or is ready at once. */
  open(outlet: Outlet): void;
  subscribe(pattern: string, options?: SubscribeOptions): void;
  /**
   * `acknowledge`: the peer is asked to confirm (QoS 1, a ref, verbose): counted by `Events.acknowledged`. `more`: another
   * one follows at once and shares the frame, see `ProtocolKind.gathers`.
   */
  publish(tag: string, payload: Uint8Array, acknowledge: boolean, more?: boolean): void;
  /** The connection is about to be left: says so, where the protocol has a word for it beside that of the transport. */
  leave?(): void;
  /** Takes one WebSocket message, or a chunk of a TCP stream cut anywhere. */
  receive(bytes: Uint8Array): void;
  /** The same for `bytes` from `start` to `end`; called instead where it is there, as it saves a view per message. */
  receiveAt?(bytes: Uint8Array, start: number, end: number): void;
  /** The last position seen per tag, where the peer has such a thing (tagcast). */
  position?(tag: string): Position | null;
}

/** How connections to a peer are made. Serializable but for `create`: the driver process looks it up by `name`. */
export interface ProtocolKind {
  readonly name: string;
  readonly transport: "websocket" | "tcp";
  /** Offered in the handshake. */
  readonly subprotocol?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Several publishes may share a frame. */
  readonly gathers?: boolean;
  create(events: Events): Protocol;
}
