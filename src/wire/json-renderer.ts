/** MessagePack to JSON text, for values whose extent was checked before. */
import { decodeUtf8 } from "./utf8.ts";

/** Deeper values are rendered as `$raw`: far beyond what clients may send, and well within the stack. */
const depthMax = 1024;

/** Renders one value; used once. Reads without checks of its own: the bytes were accepted by `Cursor.skip`. */
export class JsonRenderer {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  #depth = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = start;
    this.#end = end;
  }

  render(): string {
    const start = this.#at;
    try {
      return this.#value();
    } catch (error) {
      if (!(error instanceof TooDeep)) throw error;
      return this.#raw(start, this.#end);
    }
  }

  #value(): string {
    const byte = this.#bytes[this.#at++] as number;
    if (byte < 0x80) return String(byte);
    if (byte >= 0xe0) return String(byte - 0x100);
    if (byte < 0x90) return this.#map(byte & 0x0f);
    if (byte < 0xa0) return this.#array(byte & 0x0f);
    if (byte < 0xc0) return this.#string(byte & 0x1f, 1);
    return this.#long(byte);
  }

  #long(byte: number): string {
    switch (byte) {
      case 0xc2:
        return "false";
      case 0xc3:
        return "true";
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return `{"$bin":"${this.#base64(this.#uint(1 << (byte - 0xc4)))}"}`;
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#ext(this.#uint(1 << (byte - 0xc7)));
      case 0xca:
        return this.#float(this.#bytes.readFloatBE(this.#advance(4)));
      case 0xcb:
        return this.#float(this.#bytes.readDoubleBE(this.#advance(8)));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return String(this.#uint(1 << (byte - 0xcc)));
      case 0xcf:
        return large(this.#bytes.readBigUInt64BE(this.#advance(8)));
      case 0xd0:
      case 0xd1:
      case 0xd2:
        return String(this.#bytes.readIntBE(this.#advance(1 << (byte - 0xd0)), 1 << (byte - 0xd0)));
      case 0xd3:
        return large(this.#bytes.readBigInt64BE(this.#advance(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#string(this.#uint(1 << (byte - 0xd9)), 1 + (1 << (byte - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#uint(2 << (byte - 0xdc)));
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 << (byte - 0xde)));
      default:
        return byte >= 0xd4 ? this.#ext(1 << (byte - 0xd4)) : "null";
    }
  }

  /** `head` is the length of the header before the text. */
  #string(length: number, head: number): string {
    const start = this.#advance(length);
    const text = decodeUtf8(this.#bytes, start, this.#at);
    return text === null ? this.#raw(start - head, this.#at) : JSON.stringify(text);
  }

  #float(value: number): string {
    if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
    return `{"$num":"${value}"}`;
  }

  #ext(length: number): string {
    const type = this.#bytes.readInt8(this.#advance(1));
    return `{"$ext":[${type},"${this.#base64(length)}"]}`;
  }

  #array(count: number): string {
    this.#enter();
    const elements: string[] = [];
    for (let i = 0; i < count; i++) elements.push(this.#value());
    this.#depth--;
    return `[${elements.join(",")}]`;
  }

  #map(count: number): string {
    this.#enter();
    const keys: string[] = [];
    const values: string[] = [];
    let plain = true;
    for (let i = 0; i < count; i++) {
      const key = this.#value();
      // The text of every form and list begins with another character than that of a string.
      if (key.charCodeAt(0) !== 34) plain = false;
      keys.push(key);
      values.push(this.#value());
    }
    this.#depth--;
    if (plain && isPlain(keys)) return `{${keys.map((key, i) => `${key}:${values[i]}`).join(",")}}`;
    return `{"$map":[${keys.map((key, i) => `[${key},${values[i]}]`).join(",")}]}`;
  }

  #enter(): void {
    if (++this.#depth > depthMax) throw new TooDeep();
  }

  #raw(start: number, end: number): string {
    return `{"$raw":"${this.#bytes.toString("base64", start, end)}"}`;
  }

  #base64(length: number): string {
    const start = this.#advance(length);
    return this.#bytes.toString("base64", start, this.#at);
  }

  #uint(width: number): number {
    return this.#bytes.readUIntBE(this.#advance(width), width);
  }

  /** Passes `count` bytes and returns where they begin. */
  #advance(count: number): number {
    const start = this.#at;
    this.#at += count;
    return start;
  }
}

class TooDeep extends Error {}

function large(value: bigint): string {
  const safe = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
  return safe ? String(value) : `{"$int":"${value}"}`;
}

/** Whether a map with these string keys (as JSON text) can stand as an object that no reader takes for a form or cuts short. */
function isPlain(keys: readonly string[]): boolean {
  if (keys.length === 1) return !(keys[0] as string).startsWith('"$');
  return new Set(keys).size === keys.length;
}
