/**
 * tagcast's protocol, version 1, in MessagePack. A message that was delivered is known by its first bytes and passed over
 * by lengths; nothing is decoded but answers.
 */
import { decode, encode } from "@msgpack/msgpack";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { Cursor } from "../../../src/wire/cursor.ts";
import type { Events, Outlet, Position, Protocol, ProtocolKind, SubscribeOptions } from "../protocol.ts";
import { adminHeaders, op, TagcastState } from "./tagcast-state.ts";

export const tagcast: ProtocolKind = {
  name: "tagcast",
  transport: "websocket",
  subprotocol: "tagcast.v1.msgpack",
  path: "/ws",
  headers: adminHeaders,
  gathers: true,
  create: (events) => new TagcastProtocol(events),
};

const depthMax = 64;
const nil = 0xc0;
const bin8 = 0xc4;
/** Payloads published in JSON are text. */
const str8 = 0xd9;

class TagcastProtocol implements Protocol {
  readonly #events: Events;
  readonly #state: TagcastState;
  /** What is to be the next frame. */
  readonly #message = new ByteWriter(128);
  #gathering = false;
  #outlet: Outlet | null = null;

  constructor(events: Events) {
    this.#events = events;
    this.#state = new TagcastState(events);
  }

  open(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#events.ready();
  }

  subscribe(pattern: string, options: SubscribeOptions = {}): void {
    const { since } = options;
    const ref = this.#state.subscribing(pattern, since);
    const message = since === undefined ? [op.subscribe, ref, pattern] : [op.subscribe, ref, pattern, { since }];
    this.#outlet?.binary(encode(message));
  }

  publish(tag: string, payload: Uint8Array, acknowledge: boolean, more = false): void {
    const message = this.#message;
    if (!this.#gathering) message.reset();
    this.#gathering = more;
    message.u16(0x9404);
    if (acknowledge) {
      message.u8(0xce);
      message.u32(this.#state.publishing());
    } else message.u8(0);
    message.u16(0xd900);
    const tagAt = message.length;
    const tagLength = message.utf8(tag);
    message.bytes[tagAt - 1] = tagLength;
    writeBinHeader(message, payload.length);
    message.append(payload);
    if (!more) this.#outlet?.binary(message.bytes, message.length);
  }

  position(tag: string): Position | null {
    return this.#state.position(tag);
  }

  receive(bytes: Uint8Array): void {
    this.receiveAt(bytes, 0, bytes.length);
  }

  receiveAt(bytes: Uint8Array, start: number, end: number): void {
    const events = this.#events;
    let at = start;
    while (at < end) {
      if (bytes[at + 1] !== op.message) {
        at = this.#other(bytes, at, end);
        continue;
      }
      // What a fan-out is made of: a short tag without a log, a short payload, and nothing behind it.
      const tagHeader = bytes[at + 2] as number;
      const behindTag = at + 3 + (tagHeader & 0x1f);
      const isPlain = bytes[at] === 0x94 && tagHeader < 0xc0 && bytes[behindTag] === nil;
      if (isPlain && bytes[behindTag + 1] === bin8) {
        const payload = behindTag + 3;
        at = payload + (bytes[behindTag + 2] as number);
        if (at > end) this.#foreign(end);
        else events.message(bytes, payload, at);
      } else at = this.#delivered(bytes, at, end);
    }
  }

  /** Returns where the next message begins. */
  #delivered(bytes: Uint8Array, start: number, end: number): number {
    const elements = (bytes[start] as number) & 0x0f;
    let at = start + 2;
    const short = bytes[at] as number;
    const tagStart = short === 0xd9 ? at + 2 : at + 1;
    at = tagStart + (short === 0xd9 ? (bytes[at + 1] as number) : short & 0x1f);
    const tagEnd = at;
    let offset = 0;
    const first = bytes[at++] as number;
    if (first < 0x80) offset = first;
    else if (first !== nil) {
      const width = 1 << (first - 0xcc);
      for (let i = 0; i < width; i++) offset = offset * 256 + (bytes[at++] as number);
    }
    const type = bytes[at++] as number;
    let length = bytes[at++] as number;
    if (type !== bin8 && type !== str8) {
      const bytesMore = moreBytes(type);
      if (bytesMore < 0) return this.#foreign(end);
      for (let i = 0; i < bytesMore; i++) length = length * 256 + (bytes[at++] as number);
    }
    const next = at + length;
    if (next > end) return this.#foreign(end);
    const isNew = first === nil || this.#state.moved(bytes, tagStart, tagEnd, offset);
    if (isNew) this.#events.message(bytes, at, next);
    return elements === 4 ? next : skip(bytes, next, end, elements - 4);
  }

  #other(bytes: Uint8Array, start: number, end: number): number {
    const next = skip(bytes, start, end, 1);
    this.#state.answered(decode(bytes.subarray(start, next)) as unknown[]);
    return next;
  }

  #foreign(end: number): number {
    this.#events.failed("A payload that the bench did not publish");
    return end;
  }
}

const cursor = new Cursor(depthMax);

/** Where the next but `count` values ends. */
function skip(bytes: Uint8Array, start: number, end: number, count: number): number {
  cursor.load(bytes, start, end);
  for (let i = 0; i < count; i++) cursor.skip(depthMax);
  return cursor.at;
}

/** Of the length of a payload behind the first: −1 where it is neither bytes nor text of 32 bytes and more. */
function moreBytes(type: number): number {
  if (type === 0xc5 || type === 0xda) return 1;
  return type === 0xc6 || type === 0xdb ? 3 : -1;
}

function writeBinHeader(w: ByteWriter, length: number): void {
  if (length < 2 ** 8) w.u16(0xc400 | length);
  else if (length < 2 ** 16) {
    w.u8(0xc5);
    w.u16(length);
  } else {
    w.u8(0xc6);
    w.u32(length);
  }
}
