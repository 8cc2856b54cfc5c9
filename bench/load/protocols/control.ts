/**
 * What clients of the control speak: as little as a server can be asked for. The first byte says what a message is:
 *
 *     to the server     1 tag: subscribe        2 length(1) tag payload: publish        3 length(1) tag payload: publish, and answer
 *     to the client     1: subscribed           3: published                            anything longer is a payload
 */
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { Events, Outlet, Protocol, ProtocolKind } from "../protocol.ts";

export const controlOp = { subscribe: 1, publish: 2, publishAndAnswer: 3 } as const;

export const control: ProtocolKind = {
  name: "control",
  transport: "websocket",
  path: "/",
  create: (events) => new ControlProtocol(events),
};

class ControlProtocol implements Protocol {
  readonly #events: Events;
  readonly #message = new ByteWriter(64);
  #outlet: Outlet | null = null;

  constructor(events: Events) {
    this.#events = events;
  }

  open(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#events.ready();
  }

  subscribe(pattern: string): void {
    const message = this.#message;
    message.reset();
    message.u8(controlOp.subscribe);
    message.utf8(pattern);
    this.#outlet?.binary(message.bytes, message.length);
  }

  publish(tag: string, payload: Uint8Array, acknowledge: boolean): void {
    const message = this.#message;
    message.reset();
    message.u8(acknowledge ? controlOp.publishAndAnswer : controlOp.publish);
    message.u8(0);
    const tagLength = message.utf8(tag);
    message.bytes[1] = tagLength;
    message.append(payload);
    this.#outlet?.binary(message.bytes, message.length);
  }

  receive(bytes: Uint8Array): void {
    this.receiveAt(bytes, 0, bytes.length);
  }

  receiveAt(bytes: Uint8Array, start: number, end: number): void {
    if (end - start > 1) this.#events.message(bytes, start, end);
    else if (bytes[start] === controlOp.subscribe) this.#events.subscribed();
    else if (bytes[start] === controlOp.publishAndAnswer) this.#events.acknowledged(1);
    else this.#events.failed("An answer that is none");
  }
}
