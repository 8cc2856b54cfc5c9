/**
 * The server's messages as MessagePack, appended to a writer. Those sent per publish or per delivery are laid out by
 * hand: a few constant bytes, integers, and one copy of the body.
 */
import { ByteWriter } from "../lib/byte-writer.ts";
import { writeArrayHeader, writeBool, writeNil, writeString, writeUint, writeValue } from "./encode.ts";
import { op, type ResultValue } from "./messages.ts";

const encoder = new TextEncoder();
const nilByte = 0xc0;
/** `"position"`, then the header of an array of two. */
const positionKey = Uint8Array.of(0xa8, ...encoder.encode("position"), 0x92);
const intBytesMax = 9;

/** A member as op 19 and the result of op 6 tell it; `info` is MessagePack bytes. */
export interface WireMember {
  readonly client: string;
  readonly generation: number;
  readonly info: Uint8Array | null;
}

/** What a gap message says beside its extent. */
export interface GapDetail {
  readonly code: number;
  /** Messages that were not delivered, where that is known. */
  readonly count?: number | undefined;
  /** The position is now `[epoch, to]`. */
  readonly epoch?: number | undefined;
  /** The subscription that it concerns, where a wildcard matched the tag. */
  readonly pattern?: string | undefined;
}

export function writeOk(w: ByteWriter, ref: number, result: ResultValue): void {
  writeHead(w, 3, op.ok);
  writeUint(w, ref);
  writeValue(w, result);
}

/** Op 16 with an empty result. */
export function writeEmptyOk(w: ByteWriter, ref: number): void {
  writeHead(w, 3, op.ok);
  writeUint(w, ref);
  w.u8(0x80);
}

/** Op 16 of a publish to one tag with a log. */
export function writeAppended(w: ByteWriter, ref: number, epoch: number, offset: number, repeated: boolean): void {
  writeHead(w, 3, op.ok);
  writeUint(w, ref);
  w.u8(repeated ? 0x82 : 0x81);
  w.append(positionKey);
  writeUint(w, epoch);
  writeUint(w, offset);
  if (!repeated) return;
  writeString(w, "repeated");
  writeBool(w, true);
}

/** `count`: how many errors this message stands for (ref 0 only). */
export function writeError(w: ByteWriter, ref: number, code: number, text: string, count?: number): void {
  writeHead(w, count === undefined ? 4 : 5, op.error);
  writeUint(w, ref);
  writeUint(w, code);
  writeString(w, text);
  if (count !== undefined) writeUint(w, count);
}

/** What follows the array header of op 18: the op and the tag. For `writeMessage`; made once per tag. */
export function encodeTagHead(tag: string): Uint8Array {
  const w = new ByteWriter(tag.length + 8);
  w.u8(op.message);
  writeString(w, tag);
  return w.copy();
}

/** The same with an alias in place of the tag. */
export function encodeAliasHead(alias: number): Uint8Array {
  const w = new ByteWriter(8);
  w.u8(op.message);
  writeUint(w, alias);
  return w.copy();
}

/** For `writeWildcardMessage`; made once per pattern. */
export function encodePattern(pattern: string): Uint8Array {
  const w = new ByteWriter(pattern.length + 8);
  writeString(w, pattern);
  return w.copy();
}

/**
 * Op 18 for subscribers of the tag itself. `offset` 0: the tag keeps no log. `source[start…payloadEnd)` is the payload,
 * `source[payloadEnd…end)` the meta map, empty where there is none.
 */
export function writeMessage(
  w: ByteWriter,
  tagHead: Uint8Array,
  offset: number,
  source: Uint8Array,
  start: number,
  payloadEnd: number,
  end: number,
): void {
  w.u8(end > payloadEnd ? 0x95 : 0x94);
  w.append(tagHead);
  writeOffset(w, offset);
  w.append(source, start, end);
}

/** Op 18 for subscribers of `pattern`. `epoch` 0: the tag keeps no log. */
export function writeWildcardMessage(
  w: ByteWriter,
  tagHead: Uint8Array,
  offset: number,
  source: Uint8Array,
  start: number,
  payloadEnd: number,
  end: number,
  pattern: Uint8Array,
  epoch: number,
): void {
  w.u8(epoch > 0 ? 0x97 : 0x96);
  w.append(tagHead);
  writeOffset(w, offset);
  w.append(source, start, end);
  if (end === payloadEnd) w.u8(nilByte);
  w.append(pattern);
  if (epoch > 0) writeUint(w, epoch);
}

/** Bytes that a message of op 18 takes at most; `patternLength` 0 where no pattern is named. */
export function messageSizeMax(tagHeadLength: number, bodyLength: number, patternLength: number): number {
  return 1 + tagHeadLength + intBytesMax + bodyLength + 1 + patternLength + intBytesMax;
}

/** `joined` given and `left` null: the full list. Both null: only the count is told. */
export function writePresence(
  w: ByteWriter,
  tag: string,
  version: number,
  joined: readonly WireMember[] | null,
  left: readonly WireMember[] | null,
  count: number,
): void {
  writeHead(w, 6, op.presenceChange);
  writeString(w, tag);
  writeUint(w, version);
  if (joined === null) writeNil(w);
  else {
    writeArrayHeader(w, joined.length);
    for (const member of joined) writeMember(w, member);
  }
  if (left === null) writeNil(w);
  else {
    writeArrayHeader(w, left.length);
    for (const member of left) {
      writeArrayHeader(w, 2);
      writeString(w, member.client);
      writeUint(w, member.generation);
    }
  }
  writeUint(w, count);
}

/** `name`: the tag, or the pattern. `from` and `to` are offsets, null where there is no log. */
export function writeGap(w: ByteWriter, name: string, from: number | null, to: number | null, detail: GapDetail): void {
  writeHead(w, 5, op.gap);
  writeString(w, name);
  writeOptionalUint(w, from);
  writeOptionalUint(w, to);
  const { code, count, epoch, pattern } = detail;
  writeValue(w, { code, count, epoch, pattern });
}

export function writeUnsubscribed(w: ByteWriter, pattern: string, code: number, text: string): void {
  writeHead(w, 4, op.unsubscribed);
  writeString(w, pattern);
  writeUint(w, code);
  writeString(w, text);
}

export function writeDisconnect(w: ByteWriter, code: number, text: string, retryAfterMs: number): void {
  writeHead(w, 4, op.disconnect);
  writeUint(w, code);
  writeString(w, text);
  writeUint(w, retryAfterMs);
}

/** A generation is below 2^53, as offsets are. */
function writeMember(w: ByteWriter, member: WireMember): void {
  writeArrayHeader(w, 3);
  writeString(w, member.client);
  writeUint(w, member.generation);
  if (member.info === null) writeNil(w);
  else w.append(member.info);
}

function writeOffset(w: ByteWriter, offset: number): void {
  if (offset === 0) w.u8(nilByte);
  else writeUint(w, offset);
}

function writeOptionalUint(w: ByteWriter, value: number | null): void {
  if (value === null) w.u8(nilByte);
  else writeUint(w, value);
}

function writeHead(w: ByteWriter, count: number, number: number): void {
  w.u8(0x90 | count);
  w.u8(number);
}
