/**
 * MessagePack as its specification has it, slow and owing nothing to `src`: one value as a text that is the same for all
 * encodings of the same value, as docs/protocol.md counts sameness in the JSON form.
 */
import { isUtf8 } from "node:buffer";

export class NotMessagePack extends Error {}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** @throws NotMessagePack where `bytes` are not exactly one value */
export function canonical(bytes: Uint8Array): string {
  const reader = new Reference(bytes);
  const text = reader.value();
  if (reader.at !== bytes.length) throw new NotMessagePack("More than one value");
  return text;
}

/** Whether `bytes` are values, one after the other. */
export function isWhole(bytes: Uint8Array): boolean {
  const reader = new Reference(bytes);
  try {
    while (reader.at < bytes.length) reader.value();
    return true;
  } catch (error) {
    if (error instanceof NotMessagePack) return false;
    throw error;
  }
}

/** Kinds of the first values, as a signature: `[{s1b`. */
export function skeleton(bytes: Uint8Array): string {
  const reader = new Reference(bytes);
  let kinds = "";
  try {
    reader.value();
  } catch {
    kinds = "!";
  }
  return kinds + reader.kinds.slice(0, 10).replace(/(.)\1+/g, "$1*");
}

class Reference {
  at = 0;
  kinds = "";
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(): string {
    const head = this.#take(1)[0]!;
    if (head <= 0x7f) return this.#int(BigInt(head));
    if (head <= 0x8f) return this.#map(head & 15);
    if (head <= 0x9f) return this.#array(head & 15);
    if (head <= 0xbf) return this.#text(head & 31);
    if (head >= 0xe0) return this.#int(BigInt(head - 256));
    switch (head) {
      case 0xc0:
        return this.#kind("n", "nil");
      case 0xc2:
      case 0xc3:
        return this.#kind("t", head === 0xc3 ? "true" : "false");
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#kind("b", `bin ${hex(this.#take(this.#length(1 << (head - 0xc4))))}`);
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#length(1 << (head - 0xc7)));
      case 0xca:
        return this.#float(this.#view.getFloat32(this.#pass(4)));
      case 0xcb:
        return this.#float(this.#view.getFloat64(this.#pass(8)));
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.#int(this.#unsigned(1 << (head - 0xcc)));
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3: {
        const width = 1 << (head - 0xd0);
        return this.#int(BigInt.asIntN(8 * width, this.#unsigned(width)));
      }
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (head - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#length(1 << (head - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#length(2 << (head - 0xdc)));
      case 0xde:
      case 0xdf:
        return this.#map(this.#length(2 << (head - 0xde)));
    }
    throw new NotMessagePack("0xc1");
  }

  #kind(kind: string, text: string): string {
    this.kinds += kind;
    return text;
  }

  #int(value: bigint): string {
    const safe = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
    return this.#kind("i", safe ? `${value}` : `int ${value}`);
  }

  #float(value: number): string {
    const isInteger = Number.isSafeInteger(value) && !Object.is(value, -0);
    return this.#kind("f", isInteger ? `${value}` : `float ${Object.is(value, -0) ? "-0" : value}`);
  }

  #text(length: number): string {
    const bytes = this.#take(length);
    // Decoders that are fatal are slow to fail.
    if (!isUtf8(bytes)) return this.#kind("r", `ill ${hex(bytes)}`);
    return this.#kind("s", JSON.stringify(utf8.decode(bytes)));
  }

  #extension(length: number): string {
    const type = this.#view.getInt8(this.#pass(1));
    return this.#kind("e", `ext ${type} ${hex(this.#take(length))}`);
  }

  #array(count: number): string {
    this.kinds += "[";
    const items: string[] = [];
    for (let i = 0; i < count; i++) items.push(this.value());
    return `[${items.join(",")}]`;
  }

  /** The order of different keys does not count; that of equal ones does. */
  #map(count: number): string {
    this.kinds += "{";
    const entries: (readonly [key: string, value: string])[] = [];
    for (let i = 0; i < count; i++) entries.push([this.value(), this.value()]);
    const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${sorted.map(([key, value]) => `${key}:${value}`).join(",")}}`;
  }

  #unsigned(width: number): bigint {
    let value = 0n;
    for (const byte of this.#take(width)) value = value * 256n + BigInt(byte);
    return value;
  }

  #length(width: number): number {
    return Number(this.#unsigned(width));
  }

  #take(length: number): Uint8Array {
    const start = this.#pass(length);
    return this.#bytes.subarray(start, start + length);
  }

  #pass(length: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw new NotMessagePack("Too short");
    return start;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
