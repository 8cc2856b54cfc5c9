/** Reads client messages from binary frames. A publish to one tag without options allocates nothing. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import * as check from "./check.ts";
import { Cursor } from "./cursor.ts";
import { op, wireLimits } from "./messages.ts";
import type { ClientMessage, ClientMessageReader, PublishMessage, PublishOptions, WireLimits } from "./messages.ts";
import { openOptions, readField, readFields, readText } from "./read-fields.ts";
import { decodeUtf8 } from "./utf8.ts";

const encoder = new TextEncoder();
const noFrame = new Uint8Array(0);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class MsgpackMessageReader implements ClientMessageReader {
  failedRef = 0;
  recoverable = false;
  readonly #limits: WireLimits;
  readonly #cursor: Cursor;
  /** Levels that any message may have: its own array, and the deepest of what may stand in it. */
  readonly #depthMax: number;
  readonly #publish: Mutable<PublishMessage> = {
    op: op.publish,
    ref: 0,
    frame: noFrame,
    tagStart: 0,
    tagEnd: 0,
    alias: -1,
    tags: null,
    payloadStart: 0,
    payloadEnd: 0,
    options: null,
  };
  readonly #options: Mutable<PublishOptions> = { id: null, echo: null, reply: null };

  constructor(limits: WireLimits) {
    this.#limits = limits;
    this.#depthMax = 1 + Math.max(limits.depthMax, wireLimits.optionsDepthMax);
    this.#cursor = new Cursor(this.#depthMax);
  }

  load(frame: Uint8Array | string): void {
    const bytes = typeof frame === "string" ? encoder.encode(frame) : frame;
    this.#cursor.load(bytes);
    this.#publish.frame = bytes;
  }

  next(): ClientMessage | null {
    const cursor = this.#cursor;
    if (cursor.at >= cursor.end) {
      this.#release();
      return null;
    }
    const start = cursor.at;
    this.failedRef = 0;
    try {
      return this.#read();
    } catch (error) {
      throw this.#failed(error, start);
    }
  }

  rest(): Uint8Array | null {
    const { bytes, at, end } = this.#cursor;
    this.#release();
    return at < end ? bytes.subarray(at, end) : null;
  }

  /** Finds where the failed message ends; where it has no end, that is the error, and the rest of the frame is lost. */
  #failed(error: unknown, start: number): unknown {
    const cursor = this.#cursor;
    this.recoverable = false;
    if (error instanceof ProtocolError && !error.hostile) {
      cursor.at = start;
      try {
        const isMessage = cursor.arrayHeader() >= 0;
        cursor.at = start;
        cursor.skip(this.#depthMax);
        this.recoverable = isMessage;
      } catch (fatal) {
        this.#release();
        return fatal;
      }
    }
    if (!this.recoverable) this.#release();
    return error;
  }

  /** Lets go of the frame, which a reader would else keep alive until the next one. */
  #release(): void {
    this.#cursor.clear();
    this.#publish.frame = noFrame;
  }

  #read(): ClientMessage {
    const cursor = this.#cursor;
    const count = cursor.arrayHeader();
    if (count < 0) throw new ProtocolError(errors.malformed, "A message is an array");
    if (count < 2) throw check.badRequest("A message has at least an op and a ref");
    const number = cursor.uint();
    if (number < 0) throw check.badRequest("The op is not an unsigned integer");
    const ref = cursor.uint();
    if (check.isRef(ref)) this.failedRef = ref;
    if (number === op.publish) return this.#readPublish(count, ref);
    return this.#readOther(number, count, ref);
  }

  #readPublish(count: number, ref: number): PublishMessage {
    if (count < 4 || !check.isRef(ref)) throw check.badRequest();
    const cursor = this.#cursor;
    const publish = this.#publish;
    publish.ref = ref;
    const length = cursor.stringHeader();
    if (length < 0) this.#readOtherTarget();
    else {
      if (!check.isTagLength(length)) throw new ProtocolError(errors.invalidTag);
      publish.alias = -1;
      publish.tags = null;
      publish.tagStart = cursor.at;
      publish.tagEnd = cursor.at += length;
    }
    publish.payloadStart = cursor.at;
    cursor.skip(this.#limits.depthMax);
    publish.payloadEnd = cursor.at;
    if (cursor.at - publish.payloadStart > this.#limits.payloadMaxBytes)
      throw new ProtocolError(errors.payloadTooLarge);
    publish.options = count > 4 ? this.#readPublishOptions() : null;
    this.#skipFrom(5, count);
    return publish;
  }

  /** An alias, or several tags. */
  #readOtherTarget(): void {
    const cursor = this.#cursor;
    const publish = this.#publish;
    publish.tagStart = 0;
    publish.tagEnd = 0;
    publish.tags = null;
    publish.alias = cursor.uint();
    if (publish.alias >= 0) return;
    const count = cursor.arrayHeader();
    if (count < 0) throw new ProtocolError(errors.invalidTag);
    check.checkedTagCount(count);
    const tags: string[] = [];
    for (let i = 0; i < count; i++) tags.push(this.#readTagText());
    publish.tags = tags;
  }

  #readPublishOptions(): PublishOptions | null {
    const cursor = this.#cursor;
    const options = this.#options;
    const count = openOptions(cursor, wireLimits.optionsBytesMax);
    options.id = null;
    options.echo = null;
    options.reply = null;
    for (let i = 0; i < count; i++) {
      const length = cursor.stringHeader();
      if (length < 0) cursor.skip(wireLimits.optionsDepthMax);
      else cursor.at += length;
      if (this.#endsWith(length, "id")) options.id = check.idOf(readField(cursor));
      else if (this.#endsWith(length, "echo")) options.echo = check.flag("echo", readField(cursor));
      else if (this.#endsWith(length, "reply")) options.reply = this.#readReply();
      else cursor.skip(wireLimits.optionsDepthMax);
    }
    return count === 0 ? null : options;
  }

  /** Whether the key of `length` bytes before the cursor is `name`: compared in place, as options come with each publish. */
  #endsWith(length: number, name: string): boolean {
    if (length !== name.length) return false;
    const { bytes, at } = this.#cursor;
    for (let i = 0; i < length; i++) if (bytes[at - length + i] !== name.charCodeAt(i)) return false;
    return true;
  }

  #readReply(): string | null {
    if (!this.#cursor.isNil()) return check.replyOf(this.#readTagText());
    this.#cursor.at++;
    return null;
  }

  #readOther(number: number, count: number, ref: number): ClientMessage {
    const least = check.elementsMin[number];
    if (least === undefined) throw new ProtocolError(errors.unknownOp);
    if (count < least || !check.isRef(ref)) throw check.badRequest();
    const message = this.#readFields(number, count, ref);
    this.#skipFrom(check.elementsMax[number] ?? least, count);
    return message;
  }

  #readFields(number: number, count: number, ref: number): ClientMessage {
    switch (number) {
      case op.connect:
        return check.connectOf(ref, this.#readOptions(count > 2, "connect"));
      case op.subscribe: {
        const pattern = this.#readTagText(errors.invalidPattern);
        return check.subscribeOf(ref, pattern, this.#readOptions(count > 3, "subscribe"));
      }
      case op.unsubscribe:
        return { op: op.unsubscribe, ref, pattern: this.#readTagText(errors.invalidPattern) };
      case op.history: {
        const tag = this.#readTagText();
        return check.historyOf(ref, tag, this.#readOptions(count > 3, "history"));
      }
      case op.presence:
        return { op: op.presence, ref, tag: this.#readTagText() };
      case op.refresh:
        return check.refreshOf(ref, this.#readToken());
      default:
        return { op: op.ping, ref };
    }
  }

  #readOptions(present: boolean, name: keyof typeof check.knownFields): check.Fields {
    if (!present) return noFields;
    const bytesMax = wireLimits.optionsBytesMax + (name === "connect" ? wireLimits.tokenBytesMax : 0);
    return readFields(this.#cursor, check.knownFields[name], bytesMax);
  }

  #readToken(): string | null {
    const length = this.#cursor.stringHeader();
    return length < 0 || length > wireLimits.tokenBytesMax ? null : readText(this.#cursor, length);
  }

  /** A tag or pattern; what is wrong with it is `code`. */
  #readTagText(code: typeof errors.invalidTag | typeof errors.invalidPattern = errors.invalidTag): string {
    const cursor = this.#cursor;
    const length = cursor.stringHeader();
    const text = check.isTagLength(length) ? decodeUtf8(cursor.bytes, cursor.at, cursor.at + length) : null;
    if (text === null) throw new ProtocolError(code);
    cursor.at += length;
    return text;
  }

  /** Passes over the elements that a newer client may have added. */
  #skipFrom(index: number, count: number): void {
    for (let i = index; i < count; i++) this.#cursor.skip(this.#limits.depthMax);
  }
}

const noFields: check.Fields = new Map();
