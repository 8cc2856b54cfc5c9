/**
 * Gathers messages into frames of at most 4,096 bytes and hands each finished frame to a target: a native topic, or one
 * connection. One implementation per lane; the buffer is borrowed from a pool while something waits in it.
 */
import { ByteWriter } from "../lib/byte-writer.ts";
import type { FrameTarget } from "./frame-target.ts";
import { handAll } from "./frame-target.ts";
import type { Lane, ResultValue } from "./messages.ts";
import { gatheredFrameMax } from "./messages.ts";
import * as json from "./write-json.ts";
import type { GapDetail, WireMember } from "./write-msgpack.ts";
import * as msgpack from "./write-msgpack.ts";

/** A tag with the bytes that stand for it in op 18, encoded once: those of its name, or of an alias. */
export interface TagHead {
  readonly tag: string;
  readonly head: Uint8Array;
}

/** A wildcard pattern as the sixth element of op 18. */
export interface PatternName {
  readonly pattern: string;
  readonly encoded: Uint8Array;
}

/** Op 19: members that came and went since the last one; see docs/protocol.md for what null means. */
export interface PresenceChange {
  readonly tag: string;
  readonly version: number;
  readonly joined: readonly WireMember[] | null;
  readonly left: readonly WireMember[] | null;
  readonly count: number;
}

/** A message on its way out. One object is reused for many messages: nothing may keep it. The JSON text is rendered once, if anybody wants it. */
export class MessageView {
  tag: TagHead = { tag: "", head: new Uint8Array(0) };
  /** 0: the tag keeps no log. */
  offset = 0;
  epoch = 0;
  source: Uint8Array = new Uint8Array(0);
  start = 0;
  payloadEnd = 0;
  end = 0;
  #rendered: { readonly payload: string; readonly meta: string | null } | null = null;

  /** Points the view at another message: payload `start`…`payloadEnd`, meta `payloadEnd`…`end` of `source`. */
  set(tag: TagHead, epoch: number, offset: number): this {
    this.tag = tag;
    this.epoch = epoch;
    this.offset = offset;
    this.#rendered = null;
    return this;
  }

  /** The extents of payload and meta in `source`. */
  body(source: Uint8Array, start: number, payloadEnd: number, end: number): this {
    this.source = source;
    this.start = start;
    this.payloadEnd = payloadEnd;
    this.end = end;
    return this;
  }

  /** Payload and meta as JSON text. */
  rendered(): { readonly payload: string; readonly meta: string | null } {
    this.#rendered ??= json.renderBody(this.source, this.start, this.payloadEnd, this.end);
    return this.#rendered;
  }
}

/** The server's messages in one lane. Each call may hand a finished frame to the target; `flush` hands over the rest. */
export interface Frames {
  readonly lane: Lane;
  /** Bytes that wait for `flush`. */
  readonly waiting: number;
  /** A delivered message; `pattern` where a wildcard matched it. */
  message(view: MessageView, pattern: PatternName | null): void;
  ok(ref: number, result: ResultValue): void;
  /** Op 16 with an empty map. */
  done(ref: number): void;
  /** Op 16 of a publish to a tag with a log. */
  appended(ref: number, epoch: number, offset: number, repeated: boolean): void;
  error(ref: number, code: number, text: string, count?: number): void;
  presence(change: PresenceChange): void;
  gap(name: string, from: number | null, to: number | null, detail: GapDetail): void;
  unsubscribed(pattern: string, code: number, text: string): void;
  disconnect(code: number, text: string, retryAfterMs: number): void;
  flush(): void;
}

export function createFrames(lane: Lane, target: FrameTarget): Frames {
  return lane === "msgpack" ? new MsgpackFrames(target) : new JsonFrames(target);
}

/**
 * Full frames that wait with the one being filled: what is handed over at the end of a turn goes to each socket in one
 * system call, and what is handed over before it takes one more.
 */
const fullFramesMax = 7;
/** Writers of dirty frames; as many as were ever dirty at once, up to this. */
const poolMax = 1024;
const pool: ByteWriter[] = [];
const largeStartBytes = 64 * 1024;
/** A buffer that a huge message has stretched beyond this is not kept. */
const largeKeptBytes = 4 * 1024 * 1024;
/** Where messages of unknown or large size are encoded before they join a frame or leave alone. */
let large = new ByteWriter(largeStartBytes);

class MsgpackFrames implements Frames {
  readonly lane = "msgpack";
  readonly #target: FrameTarget;
  #writer: ByteWriter | null = null;
  /** Oldest first; null: none. */
  #full: ByteWriter[] | null = null;

  constructor(target: FrameTarget) {
    this.#target = target;
  }

  get waiting(): number {
    let bytes = this.#writer === null ? 0 : this.#writer.length;
    if (this.#full !== null) for (const { length } of this.#full) bytes += length;
    return bytes;
  }

  message(view: MessageView, pattern: PatternName | null): void {
    const size = msgpack.messageSizeMax(
      view.tag.head.length,
      view.end - view.start,
      pattern === null ? 0 : pattern.encoded.length,
    );
    const writer = this.#room(size);
    const { tag, offset, source, start, payloadEnd, end } = view;
    if (pattern === null) msgpack.writeMessage(writer, tag.head, offset, source, start, payloadEnd, end);
    else
      msgpack.writeWildcardMessage(
        writer,
        tag.head,
        offset,
        source,
        start,
        payloadEnd,
        end,
        pattern.encoded,
        view.epoch,
      );
    if (writer === large) this.#sendLarge();
  }

  ok(ref: number, result: ResultValue): void {
    large.reset();
    msgpack.writeOk(large, ref, result);
    this.#gather();
  }

  done(ref: number): void {
    msgpack.writeEmptyOk(this.#room(16), ref);
  }

  appended(ref: number, epoch: number, offset: number, repeated: boolean): void {
    msgpack.writeAppended(this.#room(64), ref, epoch, offset, repeated);
  }

  error(ref: number, code: number, text: string, count?: number): void {
    large.reset();
    msgpack.writeError(large, ref, code, text, count);
    this.#gather();
  }

  presence({ tag, version, joined, left, count }: PresenceChange): void {
    large.reset();
    msgpack.writePresence(large, tag, version, joined, left, count);
    this.#gather();
  }

  gap(name: string, from: number | null, to: number | null, detail: GapDetail): void {
    large.reset();
    msgpack.writeGap(large, name, from, to, detail);
    this.#gather();
  }

  unsubscribed(pattern: string, code: number, text: string): void {
    large.reset();
    msgpack.writeUnsubscribed(large, pattern, code, text);
    this.#gather();
  }

  disconnect(code: number, text: string, retryAfterMs: number): void {
    large.reset();
    msgpack.writeDisconnect(large, code, text, retryAfterMs);
    this.#gather();
  }

  flush(): void {
    const writer = this.#writer;
    if (writer === null) return;
    const full = this.#full;
    this.#writer = null;
    this.#full = null;
    if (full === null) return this.#hand(writer);
    full.push(writer);
    handAll(this.#target, full, (each) => this.#hand(each));
  }

  #hand(writer: ByteWriter): void {
    this.#target.write(writer.view());
    writer.reset();
    if (pool.length < poolMax) pool.push(writer);
  }

  /** A writer with room for `size` more bytes; `large`, emptied, where the message goes alone. */
  #room(size: number): ByteWriter {
    if (size > gatheredFrameMax) {
      this.flush();
      large.reset();
      return large;
    }
    if (this.#writer !== null && this.#writer.length + size > gatheredFrameMax) this.#fill(this.#writer);
    this.#writer ??= pool.pop() ?? new ByteWriter(gatheredFrameMax);
    return this.#writer;
  }

  /** The frame being filled takes no more. */
  #fill(writer: ByteWriter): void {
    if (this.#full?.length === fullFramesMax) return this.flush();
    this.#full ??= [];
    this.#full.push(writer);
    this.#writer = null;
  }

  /** The message that stands in `large` joins the frame if it fits, else goes alone. */
  #gather(): void {
    const size = large.length;
    if (size > gatheredFrameMax) {
      this.flush();
      return this.#sendLarge();
    }
    this.#room(size).append(large.bytes, 0, size);
  }

  #sendLarge(): void {
    this.#target.write(large.view());
    if (large.bytes.length > largeKeptBytes) large = new ByteWriter(largeStartBytes);
  }
}

/** Text frames: one message a line. */
class JsonFrames implements Frames {
  readonly lane = "json";
  readonly #target: FrameTarget;
  #text = "";
  #bytes = 0;
  /** Oldest first. */
  #full: string[] = [];
  #fullBytes = 0;

  constructor(target: FrameTarget) {
    this.#target = target;
  }

  get waiting(): number {
    return this.#bytes + this.#fullBytes;
  }

  message(view: MessageView, pattern: PatternName | null): void {
    const { payload, meta } = view.rendered();
    const name = pattern === null ? null : pattern.pattern;
    this.#gather(json.renderMessage(view.tag.tag, view.offset, payload, meta, name, view.epoch));
  }

  ok(ref: number, result: ResultValue): void {
    this.#gather(json.renderOk(ref, result));
  }

  done(ref: number): void {
    this.#gather(`[16,${ref},{}]`);
  }

  appended(ref: number, epoch: number, offset: number, repeated: boolean): void {
    this.#gather(`[16,${ref},{"position":[${epoch},${offset}]${repeated ? ',"repeated":true' : ""}}]`);
  }

  error(ref: number, code: number, text: string, count?: number): void {
    this.#gather(json.renderError(ref, code, text, count));
  }

  presence({ tag, version, joined, left, count }: PresenceChange): void {
    this.#gather(json.renderPresence(tag, version, joined, left, count));
  }

  gap(name: string, from: number | null, to: number | null, detail: GapDetail): void {
    this.#gather(json.renderGap(name, from, to, detail));
  }

  unsubscribed(pattern: string, code: number, text: string): void {
    this.#gather(json.renderUnsubscribed(pattern, code, text));
  }

  disconnect(code: number, text: string, retryAfterMs: number): void {
    this.#gather(json.renderDisconnect(code, text, retryAfterMs));
  }

  flush(): void {
    if (this.#bytes === 0) return;
    const frames = this.#full;
    frames.push(this.#text);
    this.#full = [];
    this.#fullBytes = 0;
    this.#text = "";
    this.#bytes = 0;
    if (frames.length === 1) this.#target.write(frames[0] as string);
    else handAll(this.#target, frames, (text) => this.#target.write(text));
  }

  #gather(line: string): void {
    const size = Buffer.byteLength(line) + 1;
    if (this.#bytes > 0 && this.#bytes + size > gatheredFrameMax) this.#fill(size);
    this.#text = this.#bytes === 0 ? line : `${this.#text}\n${line}`;
    this.#bytes += size;
  }

  /** The frame being filled takes no more; the next one begins with `size` bytes. */
  #fill(size: number): void {
    if (this.#full.length === fullFramesMax || size > gatheredFrameMax) return this.flush();
    this.#full.push(this.#text);
    this.#fullBytes += this.#bytes;
    this.#text = "";
    this.#bytes = 0;
  }
}
