/**
 * Socket.IO 4 over WebSocket alone, as its own client speaks it: Engine.IO 4 around events with one binary attachment. The
 * events are those of peers/servers/socketio-server.mjs: `subscribe(tag)` and `publish(tag, payload)`, both acknowledged
 * where the client asks, and `message(payload)`.
 */
import type { Events, Outlet, Protocol, ProtocolKind } from "../protocol.ts";

export const socketIo: ProtocolKind = {
  name: "socketio",
  transport: "websocket",
  path: "/socket.io/?EIO=4&transport=websocket",
  create: (events) => new SocketIoProtocol(events),
};

/** First byte of a text message: Engine.IO's type of packet. The second, after `message`, is Socket.IO's. */
const engine = { open: 0x30, ping: 0x32, message: 0x34, noop: 0x36 } as const;
const packet = { connect: 0x30, ack: 0x33, binaryEvent: 0x35 } as const;
const pong = Buffer.from("3");
const connect = Buffer.from("40");
/** An acknowledgement carries the id that was asked with: one for each thing that is confirmed. */
const ackId = { subscribe: 0, publish: 1 } as const;
const attachment = '{"_placeholder":true,"num":0}';

export class SocketIoProtocol implements Protocol {
  readonly #events: Events;
  #outlet: Outlet | null = null;
  /** An event was read whose attachment is the next message. */
  #attached = false;
  /** What goes before the attachment, for the last tag. */
  #head: { readonly tag: string; readonly acknowledge: boolean; readonly text: Uint8Array } | null = null;
  #heads: Map<string, Uint8Array> | null = null;

  constructor(events: Events) {
    this.#events = events;
  }

  open(outlet: Outlet): void {
    this.#outlet = outlet;
  }

  subscribe(pattern: string): void {
    this.#outlet?.text(`42${ackId.subscribe}${JSON.stringify(["subscribe", pattern])}`);
  }

  publish(tag: string, payload: Uint8Array, acknowledge: boolean): void {
    let head = this.#head;
    if (head === null || head.tag !== tag || head.acknowledge !== acknowledge) {
      this.#head = head = { tag, acknowledge, text: this.#headOf(tag, acknowledge) };
    }
    this.#outlet?.text(head.text);
    this.#outlet?.binary(payload);
  }

  receive(bytes: Uint8Array): void {
    this.receiveAt(bytes, 0, bytes.length);
  }

  receiveAt(bytes: Uint8Array, start: number, end: number): void {
    if (this.#attached) {
      this.#attached = false;
      return this.#events.message(bytes, start, end);
    }
    switch (bytes[start]) {
      case engine.message:
        return this.#packet(bytes, start + 1, end);
      case engine.ping:
        this.#outlet?.text(pong);
        return;
      case engine.open:
        this.#outlet?.text(connect);
        return;
      case engine.noop:
        return;
      default:
        return this.#failed(bytes, start, end);
    }
  }

  #packet(bytes: Uint8Array, start: number, end: number): void {
    switch (bytes[start]) {
      case packet.binaryEvent:
        this.#attached = true;
        return;
      case packet.ack:
        if (bytes[start + 1] === 0x30 + ackId.subscribe) return this.#events.subscribed();
        return this.#events.acknowledged(1);
      case packet.connect:
        return this.#events.ready();
      default:
        return this.#failed(bytes, start, end);
    }
  }

  #failed(bytes: Uint8Array, start: number, end: number): void {
    this.#events.failed(`A packet that is not expected: ${Buffer.from(bytes.subarray(start, end)).toString()}`);
  }

  #headOf(tag: string, acknowledge: boolean): Uint8Array {
    const heads = (this.#heads ??= new Map<string, Uint8Array>());
    const key = acknowledge ? `${tag}\0` : tag;
    let head = heads.get(key);
    if (head === undefined) {
      const id = acknowledge ? ackId.publish : "";
      head = Buffer.from(`451-${id}["publish",${JSON.stringify(tag)},${attachment}]`);
      heads.set(key, head);
    }
    return head;
  }
}
