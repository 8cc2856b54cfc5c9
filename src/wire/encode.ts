/** MessagePack primitives to write. Integers, lengths and counts always take their shortest form. */
import type { ByteWriter } from "../lib/byte-writer.ts";
import { Raw, type ResultValue } from "./messages.ts";

const nilByte = 0xc0;
const int64Min = -(2n ** 63n);
const uint64Max = 2n ** 64n - 1n;

export function writeNil(w: ByteWriter): void {
  w.u8(nilByte);
}

export function writeBool(w: ByteWriter, value: boolean): void {
  w.u8(value ? 0xc3 : 0xc2);
}

/** A safe integer. */
export function writeInt(w: ByteWriter, value: number): void {
  if (value >= 0) writeUint(w, value);
  else writeNegative(w, value);
}

/** A safe integer ≥ 0. */
export function writeUint(w: ByteWriter, value: number): void {
  if (value < 0x80) w.u8(value);
  else if (value < 0x100) {
    w.u8(0xcc);
    w.u8(value);
  } else if (value < 0x1_0000) {
    w.u8(0xcd);
    w.u16(value);
  } else if (value < 0x1_0000_0000) {
    w.u8(0xce);
    w.u32(value);
  } else {
    w.u8(0xcf);
    w.u64(value);
  }
}

function writeNegative(w: ByteWriter, value: number): void {
  if (value >= -0x20) w.u8(value & 0xff);
  else if (value >= -0x80) {
    w.u8(0xd0);
    w.u8(value & 0xff);
  } else if (value >= -0x8000) {
    w.u8(0xd1);
    w.u16(value & 0xffff);
  } else if (value >= -0x8000_0000) {
    w.u8(0xd2);
    w.u32(value);
  } else {
    w.u8(0xd3);
    w.u64(value);
  }
}

/** An integer of any size that MessagePack has: −2^63 … 2^64−1; false (and nothing written) where it is out of range. */
export function writeBigInt(w: ByteWriter, value: bigint): boolean {
  if (value < int64Min || value > uint64Max) return false;
  if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) {
    writeInt(w, Number(value));
    return true;
  }
  w.u8(value < 0n ? 0xd3 : 0xcf);
  const bits = BigInt.asUintN(64, value);
  w.u32(Number(bits >> 32n));
  w.u32(Number(bits & 0xffff_ffffn));
  return true;
}

export function writeFloat(w: ByteWriter, value: number): void {
  w.u8(0xcb);
  w.f64(value);
}

/** A safe integer as an integer, everything else (−0 too) as float64. */
export function writeNumber(w: ByteWriter, value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) writeInt(w, value);
  else writeFloat(w, value);
}

export function writeString(w: ByteWriter, text: string): void {
  if (text.length < 32 && writeShortAscii(w, text)) return;
  const length = Buffer.byteLength(text);
  if (length < 32) w.u8(0xa0 | length);
  else writeLength(w, length, 0xd9);
  w.utf8(text);
}

/** The common case without a call out of JavaScript; false (and nothing written) where the text is not all ASCII. */
function writeShortAscii(w: ByteWriter, text: string): boolean {
  w.ensure(text.length + 1);
  const { bytes, length: start } = w;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return false;
    bytes[start + 1 + i] = unit;
  }
  bytes[start] = 0xa0 | text.length;
  w.length = start + 1 + text.length;
  return true;
}

export function writeBin(w: ByteWriter, value: Uint8Array): void {
  writeLength(w, value.length, 0xc4);
  w.append(value);
}

/** `type`: −128 … 127. */
export function writeExt(w: ByteWriter, type: number, body: Uint8Array): void {
  const fixed = fixedExtSizes.indexOf(body.length);
  if (fixed >= 0) w.u8(0xd4 + fixed);
  else writeLength(w, body.length, 0xc7);
  w.u8(type & 0xff);
  w.append(body);
}

const fixedExtSizes = [1, 2, 4, 8, 16];

export function writeArrayHeader(w: ByteWriter, count: number): void {
  if (count < 16) w.u8(0x90 | count);
  else writeCount(w, count, 0xdc);
}

export function writeMapHeader(w: ByteWriter, count: number): void {
  if (count < 16) w.u8(0x80 | count);
  else writeCount(w, count, 0xde);
}

/** `first`, `first + 1`, `first + 2` take a length of 8, 16 and 32 bits. */
function writeLength(w: ByteWriter, length: number, first: number): void {
  if (length < 0x100) {
    w.u8(first);
    w.u8(length);
  } else writeCount(w, length, first + 1);
}

/** `first` and `first + 1` take a count of 16 and 32 bits. */
function writeCount(w: ByteWriter, count: number, first: number): void {
  if (count < 0x1_0000) {
    w.u8(first);
    w.u16(count);
  } else {
    w.u8(first + 1);
    w.u32(count);
  }
}

/** Any value of a result; `Raw` is pasted, fields that are undefined are left out. */
export function writeValue(w: ByteWriter, value: ResultValue): void {
  if (value === null) writeNil(w);
  else if (typeof value === "boolean") writeBool(w, value);
  else if (typeof value === "number") writeNumber(w, value);
  else if (typeof value === "string") writeString(w, value);
  else if (value instanceof Raw) w.append(value.bytes);
  else if (value instanceof Uint8Array) writeBin(w, value);
  else if (isList(value)) {
    writeArrayHeader(w, value.length);
    for (const element of value) writeValue(w, element);
  } else if (value instanceof Map) {
    writeMapHeader(w, value.size);
    for (const [key, field] of value as ReadonlyMap<string, ResultValue>) writeEntry(w, key, field);
  } else {
    const fields = Object.entries(value).filter((entry): entry is [string, ResultValue] => entry[1] !== undefined);
    writeMapHeader(w, fields.length);
    for (const [key, field] of fields) writeEntry(w, key, field);
  }
}

function writeEntry(w: ByteWriter, key: string, value: ResultValue): void {
  writeString(w, key);
  writeValue(w, value);
}

/** `Array.isArray` alone does not narrow readonly arrays. */
export function isList(value: ResultValue): value is readonly ResultValue[] {
  return Array.isArray(value);
}
