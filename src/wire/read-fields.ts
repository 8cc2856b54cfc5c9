/** Options maps from MessagePack: only the fields that the op knows are decoded, the others are passed over. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import { copyOf } from "../lib/bytes.ts";
import { badRequest, rawField, type Fields, type FieldValue } from "./check.ts";
import type { Cursor } from "./cursor.ts";
import { wireLimits } from "./messages.ts";
import { decodeUtf8 } from "./utf8.ts";

const noFields: Fields = new Map();

/**
 * Checks the options map at the cursor as a whole (nesting, and `bytesMax`) and passes its header: returns how many
 * fields follow, 0 for nil. @throws ProtocolError
 */
export function openOptions(cursor: Cursor, bytesMax: number): number {
  const start = cursor.at;
  cursor.skip(wireLimits.optionsDepthMax);
  const length = cursor.at - start;
  if (length > bytesMax) throw badRequest(`Options take at most ${bytesMax} bytes`);
  cursor.at = start;
  if (cursor.isNil()) {
    cursor.at++;
    return 0;
  }
  const count = cursor.mapHeader();
  if (count < 0) throw badRequest("Options must be a map");
  return count;
}

/** The known fields of the options map at the cursor. @throws ProtocolError */
export function readFields(cursor: Cursor, known: ReadonlySet<string>, bytesMax: number): Fields {
  const count = openOptions(cursor, bytesMax);
  if (count === 0) return noFields;
  const fields = new Map<string, FieldValue>();
  for (let i = 0; i < count; i++) {
    const name = readName(cursor);
    if (name !== null && known.has(name)) fields.set(name, name === rawField ? rawBytes(cursor) : readField(cursor));
    else cursor.skip(wireLimits.optionsDepthMax);
  }
  return fields;
}

/** One field value. The containers around it are known to be whole. @throws ProtocolError */
export function readField(cursor: Cursor): FieldValue {
  if (cursor.isNil()) {
    cursor.at++;
    return null;
  }
  const integer = cursor.uint();
  if (integer >= 0) return integer;
  const bool = cursor.bool();
  if (bool >= 0) return bool === 1;
  const stringLength = cursor.stringHeader();
  if (stringLength >= 0) return readText(cursor, stringLength);
  const binLength = cursor.binHeader();
  if (binLength >= 0) return cursor.bytes.subarray(cursor.at, (cursor.at += binLength));
  const elements = cursor.arrayHeader();
  if (elements >= 0) return readList(cursor, elements);
  const entries = cursor.mapHeader();
  if (entries >= 0) return readMap(cursor, entries);
  throw badRequest();
}

/** The `length` bytes at the cursor as text. @throws ProtocolError `malformed` where they are no UTF-8 */
export function readText(cursor: Cursor, length: number): string {
  const text = decodeUtf8(cursor.bytes, cursor.at, cursor.at + length);
  if (text === null) throw new ProtocolError(errors.malformed, "A string is not well-formed UTF-8");
  cursor.at += length;
  return text;
}

/** A key that can name an option, or null (and it is passed over). */
function readName(cursor: Cursor): string | null {
  const length = cursor.stringHeader();
  if (length < 0) {
    cursor.skip(wireLimits.optionsDepthMax);
    return null;
  }
  const start = cursor.at;
  cursor.at += length;
  return length <= nameBytesMax ? decodeUtf8(cursor.bytes, start, cursor.at) : null;
}

/** Longer than any option that there is. */
const nameBytesMax = 32;

/** A copy: the message outlives the frame. */
function rawBytes(cursor: Cursor): Uint8Array | null {
  const start = cursor.at;
  cursor.skip(wireLimits.optionsDepthMax);
  if (cursor.bytes[start] === 0xc0) return null;
  return copyOf(cursor.bytes, start, cursor.at);
}

function readList(cursor: Cursor, count: number): FieldValue[] {
  const list: FieldValue[] = [];
  for (let i = 0; i < count; i++) list.push(readField(cursor));
  return list;
}

function readMap(cursor: Cursor, count: number): ReadonlyMap<string, FieldValue> {
  const map = new Map<string, FieldValue>();
  for (let i = 0; i < count; i++) {
    const length = cursor.stringHeader();
    if (length < 0) throw badRequest("A map of the options has a key that is no string");
    map.set(readText(cursor, length), readField(cursor));
  }
  return map;
}
