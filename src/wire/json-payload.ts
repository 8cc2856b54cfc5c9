/**
 * Payloads as JSON text. What JSON lacks has a form of its own: `$bin`, `$int`, `$num`, `$ext`, `$map`, `$raw`
 * (docs/protocol.md, "Payloads in JSON").
 */
import type { ByteWriter } from "../lib/byte-writer.ts";
import { badRequest } from "./check.ts";
import { Cursor } from "./cursor.ts";
import * as encode from "./encode.ts";
import { JsonRenderer } from "./json-renderer.ts";

/** Values are rendered one at a time. */
const renderer = new JsonRenderer();

/**
 * JSON text of the one MessagePack value in `bytes[start…end)`, in UTF-8 at most six times as long and 4 KiB. Never throws on
 * bytes that `Cursor.skip` accepts.
 */
export function payloadToJson(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  return renderer.render(bytes, start, end);
}

/**
 * Writes a parsed JSON value as MessagePack. The nesting of `value` must be bounded by the caller.
 * @throws ProtocolError `badRequest` for an object whose only key begins with `$` and that is none of the forms, and
 * for text with lone surrogates
 */
export function jsonToPayload(value: unknown, w: ByteWriter): void {
  if (value === null) encode.writeNil(w);
  else if (typeof value === "boolean") encode.writeBool(w, value);
  else if (typeof value === "number") encode.writeNumber(w, value);
  else if (typeof value === "string") writeText(w, value);
  else if (Array.isArray(value)) {
    encode.writeArrayHeader(w, value.length);
    for (const element of value as unknown[]) jsonToPayload(element, w);
  } else if (typeof value === "object") writeObject(w, value);
  else throw badRequest("The value has no JSON form");
}

/** The bytes of a `{"$bin": base64}`, or null where `value` is none. @throws ProtocolError `badRequest` */
export function binaryOf(value: object): Uint8Array | null {
  const form = (value as { readonly $bin?: unknown }).$bin;
  return typeof form === "string" && Object.keys(value).length === 1 ? base64(form) : null;
}

function writeObject(w: ByteWriter, value: object): void {
  const entries = Object.entries(value) as [string, unknown][];
  const only = entries.length === 1 ? entries[0] : undefined;
  if (only !== undefined && only[0].startsWith("$")) return writeForm(w, only[0], only[1]);
  encode.writeMapHeader(w, entries.length);
  for (const [key, field] of entries) {
    writeText(w, key);
    jsonToPayload(field, w);
  }
}

function writeForm(w: ByteWriter, name: string, value: unknown): void {
  switch (name) {
    case "$bin":
      return encode.writeBin(w, base64(value));
    case "$int":
      return writeLargeInt(w, value);
    case "$num":
      return writeNonFinite(w, value);
    case "$ext":
      return writeExt(w, value);
    case "$map":
      return writeMap(w, value);
    case "$raw":
      return writeRaw(w, value);
    default:
      throw badRequest(`"${name}" is not a form: write a map with this one key as {"$map": [["${name}", value]]}`);
  }
}

function writeText(w: ByteWriter, text: string): void {
  if (!text.isWellFormed()) throw badRequest("A string has a lone surrogate");
  encode.writeString(w, text);
}

function writeLargeInt(w: ByteWriter, value: unknown): void {
  const fits = typeof value === "string" && /^-?\d{1,20}$/.test(value) && encode.writeBigInt(w, BigInt(value));
  if (!fits) throw badRequest('"$int" takes the decimal digits of an integer from -2^63 to 2^64-1');
}

const nonFinite: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity };

function writeNonFinite(w: ByteWriter, value: unknown): void {
  if (typeof value !== "string" || !Object.hasOwn(nonFinite, value)) {
    throw badRequest('"$num" is one of "NaN", "Infinity", "-Infinity"');
  }
  encode.writeFloat(w, nonFinite[value] as number);
}

function writeExt(w: ByteWriter, value: unknown): void {
  const [type, body] = Array.isArray(value) && value.length === 2 ? (value as unknown[]) : [];
  if (!Number.isInteger(type) || (type as number) < -128 || (type as number) > 127) {
    throw badRequest('"$ext" takes [type from -128 to 127, base64]');
  }
  encode.writeExt(w, type as number, base64(body));
}

function writeMap(w: ByteWriter, value: unknown): void {
  if (!Array.isArray(value)) throw badRequest('"$map" takes a list of [key, value]');
  encode.writeMapHeader(w, value.length);
  for (const entry of value as unknown[]) {
    if (!Array.isArray(entry) || entry.length !== 2) throw badRequest('"$map" takes a list of [key, value]');
    jsonToPayload(entry[0], w);
    jsonToPayload(entry[1], w);
  }
}

/** Nesting within a `$raw`: more than any payload may have, as the caller checks the whole by its own bound. */
const rawDepthMax = 1024;
const rawCursor = new Cursor(rawDepthMax);

function writeRaw(w: ByteWriter, value: unknown): void {
  const bytes = base64(value);
  rawCursor.load(bytes);
  rawCursor.skip(rawDepthMax);
  const isWhole = rawCursor.at === bytes.length;
  rawCursor.clear();
  if (!isWhole) throw badRequest('"$raw" takes exactly one MessagePack value');
  w.append(bytes);
}

function base64(value: unknown): Uint8Array {
  if (typeof value !== "string") throw badRequest("Base64 text is missing");
  try {
    return Uint8Array.fromBase64(value, { lastChunkHandling: "strict" });
  } catch (cause) {
    throw badRequest("Not base64", cause);
  }
}
