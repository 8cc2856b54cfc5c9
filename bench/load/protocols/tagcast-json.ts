/**
 * tagcast's protocol, version 1, in JSON: a message a line. Payloads of the bench stand in a JSON text as they are, so
 * that one that was delivered is found between two quotation marks; only answers are parsed.
 */
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { Events, Outlet, Position, Protocol, ProtocolKind, SubscribeOptions } from "../protocol.ts";
import { adminHeaders, op, TagcastState } from "./tagcast-state.ts";

export const tagcastJson: ProtocolKind = {
  name: "tagcast-json",
  transport: "websocket",
  subprotocol: "tagcast.v1.json",
  path: "/ws",
  headers: adminHeaders,
  create: (events) => new TagcastJsonProtocol(events),
};

const newline = 0x0a;
const quote = 0x22;
const comma = 0x2c;
const zero = 0x30;
const nine = 0x39;
/** `[18,"` */
const deliveredHead = Uint8Array.of(0x5b, 0x31, 0x38, comma, quote);

class TagcastJsonProtocol implements Protocol {
  readonly #state: TagcastState;
  readonly #message = new ByteWriter(128);
  #outlet: Outlet | null = null;

  constructor(events: Events) {
    this.#state = new TagcastState(events);
  }

  open(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#state.events.ready();
  }

  subscribe(pattern: string, options: SubscribeOptions = {}): void {
    const { since } = options;
    const ref = this.#state.subscribing(pattern, since);
    const message = since === undefined ? [op.subscribe, ref, pattern] : [op.subscribe, ref, pattern, { since }];
    this.#outlet?.text(JSON.stringify(message));
  }

  publish(tag: string, payload: Uint8Array, acknowledge: boolean): void {
    const message = this.#message;
    message.reset();
    message.utf8(`[${op.publish},${acknowledge ? this.#state.publishing() : 0},"${tag}","`);
    message.append(payload);
    message.utf8('"]');
    this.#outlet?.text(message.bytes, message.length);
  }

  position(tag: string): Position | null {
    return this.#state.position(tag);
  }

  receive(bytes: Uint8Array): void {
    this.receiveAt(bytes, 0, bytes.length);
  }

  receiveAt(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const found = bytes.indexOf(newline, at);
      const lineEnd = found < 0 || found > end ? end : found;
      if (isDelivered(bytes, at)) this.#delivered(bytes, at + deliveredHead.length, lineEnd);
      else if (lineEnd > at) this.#state.answered(JSON.parse(text(bytes, at, lineEnd)) as unknown[]);
      at = lineEnd + 1;
    }
  }

  /** From the tag's first character on. */
  #delivered(bytes: Uint8Array, tagStart: number, end: number): void {
    const tagEnd = bytes.indexOf(quote, tagStart);
    let at = tagEnd + 2;
    let offset = 0;
    const hasLog = isDigit(bytes[at] as number);
    while (at < end && bytes[at] !== comma) offset = offset * 10 + (bytes[at++] as number) - zero;
    const payloadStart = at + 2;
    const payloadEnd = bytes.indexOf(quote, payloadStart);
    if (bytes[at + 1] !== quote || payloadEnd < 0 || payloadEnd > end) {
      this.#state.events.failed("A payload that the bench did not publish");
      return;
    }
    if (hasLog && !this.#state.moved(bytes, tagStart, tagEnd, offset)) return;
    this.#state.events.message(bytes, payloadStart, payloadEnd);
  }
}

function isDelivered(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < deliveredHead.length; i++) if (bytes[at + i] !== deliveredHead[i]) return false;
  return true;
}

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= nine;
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.prototype.utf8Slice.call(bytes, start, end);
}
