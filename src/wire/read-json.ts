/** Reads client messages from text frames: one JSON array a line. Payloads become MessagePack on the way in. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import * as check from "./check.ts";
import { Cursor } from "./cursor.ts";
import { binaryOf, jsonToPayload } from "./json-payload.ts";
import { op, wireLimits } from "./messages.ts";
import type { ClientMessage, ClientMessageReader, PublishMessage, PublishOptions, WireLimits } from "./messages.ts";

const decoder = new TextDecoder();
const blank = /\s*/y;
/** A writer that one large payload has stretched beyond this is not kept. */
const keptBytesMax = 64 * 1024;
const writerBytes = 1024;

export class JsonMessageReader implements ClientMessageReader {
  failedRef = 0;
  recoverable = false;
  readonly #limits: WireLimits;
  readonly #cursor: Cursor;
  /** Brackets within brackets. A level of a payload takes up to three, `{"$map":[[key, value]]}`, and an extension two more. */
  readonly #bracketsMax: number;
  #writer = new ByteWriter(writerBytes);
  #text = "";
  #at = 0;

  constructor(limits: WireLimits) {
    this.#limits = limits;
    this.#cursor = new Cursor(Math.max(limits.depthMax, wireLimits.optionsDepthMax));
    this.#bracketsMax = 1 + Math.max(3 * limits.depthMax, 3 * wireLimits.optionsDepthMax) + 2;
  }

  load(frame: Uint8Array | string): void {
    this.#text = typeof frame === "string" ? frame : decoder.decode(frame);
    this.#at = 0;
  }

  next(): ClientMessage | null {
    while (this.#at < this.#text.length) {
      const line = this.#nextLine();
      if (line === "") {
        this.#skipBlank();
        continue;
      }
      this.failedRef = 0;
      this.recoverable = true;
      try {
        return this.#read(line);
      } catch (error) {
        this.recoverable = error instanceof ProtocolError && !error.hostile;
        if (!this.recoverable) this.load("");
        throw error;
      }
    }
    this.load("");
    return null;
  }

  rest(): string | null {
    const rest = this.#text.slice(this.#at);
    this.load("");
    return rest === "" ? null : rest;
  }

  #nextLine(): string {
    const start = this.#at;
    const found = this.#text.indexOf("\n", start);
    const end = found < 0 ? this.#text.length : found;
    this.#at = end + 1;
    return this.#text.slice(start, end).trim();
  }

  /** Very many blank lines: one by one they would take as long as messages do, and count for none. */
  #skipBlank(): void {
    blank.lastIndex = this.#at;
    if (blank.test(this.#text)) this.#at = blank.lastIndex;
  }

  #read(line: string): ClientMessage {
    checkBrackets(line, this.#bracketsMax);
    const message = parse(line);
    if (!Array.isArray(message)) throw new ProtocolError(errors.malformed, "A message is an array");
    const [number, ref] = message as unknown[];
    if (check.isRef(ref)) this.failedRef = ref;
    if (message.length < 2) throw check.badRequest("A message has at least an op and a ref");
    if (!Number.isSafeInteger(number) || (number as number) < 0)
      throw check.badRequest("The op is not an unsigned integer");
    return this.#readOp(number as number, ref, message as unknown[]);
  }

  #readOp(number: number, ref: unknown, message: readonly unknown[]): ClientMessage {
    const least = check.elementsMin[number];
    if (least === undefined) throw new ProtocolError(errors.unknownOp);
    if (message.length < least || !check.isRef(ref)) throw check.badRequest();
    const [, , name] = message;
    switch (number) {
      case op.connect:
        return check.connectOf(ref, this.#fields(name, "connect"));
      case op.subscribe: {
        const pattern = check.checkedText(name, errors.invalidPattern);
        return check.subscribeOf(ref, pattern, this.#fields(message[3], "subscribe"));
      }
      case op.unsubscribe:
        return { op: op.unsubscribe, ref, pattern: check.checkedText(name, errors.invalidPattern) };
      case op.publish:
        return this.#publish(ref, message);
      case op.history: {
        const tag = check.checkedText(name, errors.invalidTag);
        return check.historyOf(ref, tag, this.#fields(message[3], "history"));
      }
      case op.presence:
        return { op: op.presence, ref, tag: check.checkedText(name, errors.invalidTag) };
      case op.refresh:
        return check.refreshOf(ref, wellFormed(typeof name === "string" ? name : null));
      default:
        return { op: op.ping, ref };
    }
  }

  #publish(ref: number, message: readonly unknown[]): PublishMessage {
    const [, , name, payload, options] = message;
    const tags = Array.isArray(name) ? checkedTags(name as unknown[]) : null;
    const w = this.#emptyWriter();
    const alias = check.isAlias(name) ? name : -1;
    const tagEnd = tags === null && alias < 0 ? w.utf8(check.checkedText(name, errors.invalidTag)) : 0;
    jsonToPayload(payload, w);
    const payloadEnd = w.length;
    if (payloadEnd - tagEnd > this.#limits.payloadMaxBytes) throw new ProtocolError(errors.payloadTooLarge);
    const frame = w.copy();
    this.#checkDepth(frame, tagEnd, this.#limits.depthMax);
    const checked = publishOptions(options ?? null);
    return {
      op: op.publish,
      ref,
      frame,
      tagStart: 0,
      tagEnd,
      alias,
      tags,
      payloadStart: tagEnd,
      payloadEnd,
      options: checked,
    };
  }

  /** The fields of `options` that the op knows. */
  #fields(options: unknown, name: keyof typeof check.knownFields): check.Fields {
    const fields = new Map<string, check.FieldValue>();
    for (const [key, value] of optionEntries(options ?? null)) {
      if (!check.knownFields[name].has(key)) continue;
      fields.set(key, key === check.rawField ? this.#rawBytes(value) : toField(value));
    }
    return fields;
  }

  #rawBytes(value: unknown): Uint8Array | null {
    if (value === null) return null;
    const w = this.#emptyWriter();
    jsonToPayload(value, w);
    const bytes = w.copy();
    // One level less than the options map that it would stand in.
    this.#checkDepth(bytes, 0, wireLimits.optionsDepthMax - 1);
    return bytes;
  }

  /** The one value from `start` on is nested at most `max` levels. */
  #checkDepth(bytes: Uint8Array, start: number, max: number): void {
    this.#cursor.load(bytes, start);
    this.#cursor.skip(max);
    this.#cursor.clear();
  }

  #emptyWriter(): ByteWriter {
    if (this.#writer.bytes.length > keptBytesMax) this.#writer = new ByteWriter(writerBytes);
    this.#writer.reset();
    return this.#writer;
  }
}

/**
 * Refuses nesting bombs before a parser sees them: brackets within brackets, at most `max`.
 * @throws ProtocolError `tooDeep` (hostile)
 */
export function checkBrackets(line: string, max: number): void {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const unit = line.charCodeAt(i);
    if (quoted) {
      if (unit === 0x5c) i++;
      else if (unit === 0x22) quoted = false;
    } else if (unit === 0x22) quoted = true;
    else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > max) throw new ProtocolError(errors.tooDeep, errors.tooDeep.text, { hostile: true });
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new ProtocolError(errors.malformed, "Not JSON", { cause });
  }
}

function checkedTags(names: readonly unknown[]): string[] {
  check.checkedTagCount(names.length);
  return names.map((name) => check.checkedText(name, errors.invalidTag));
}

function publishOptions(options: unknown): PublishOptions | null {
  const entries = optionEntries(options);
  if (entries.length === 0) return null;
  const fields = new Map(entries);
  return {
    id: check.idOf(toField(fields.get("id") ?? null)),
    echo: check.flag("echo", toField(fields.get("echo") ?? null)),
    reply: check.replyOf(toField(fields.get("reply") ?? null)),
  };
}

function optionEntries(options: unknown): [string, unknown][] {
  if (options === null) return [];
  if (typeof options !== "object" || Array.isArray(options)) throw check.badRequest("Options must be a map");
  return Object.entries(options);
}

/** A parsed JSON value as the MessagePack form would have given it. */
function toField(value: unknown): check.FieldValue {
  if (value === null || typeof value === "boolean" || typeof value === "number") return value;
  if (typeof value === "string") return wellFormed(value);
  if (Array.isArray(value)) return value.map(toField);
  if (typeof value !== "object") throw check.badRequest();
  const binary = binaryOf(value);
  if (binary !== null) return binary;
  return new Map(Object.entries(value).map(([key, field]) => [key, toField(field)]));
}

function wellFormed(text: string | null): string | null {
  if (text !== null && !text.isWellFormed()) throw new ProtocolError(errors.malformed, "A string has a lone surrogate");
  return text;
}
