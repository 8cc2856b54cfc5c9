/**
 * Decodes MessagePack. Unlike the library's decoder it takes every well-formed value: payloads come from anybody, and one
 * with odd keys must not take its frame, and other messages in it, with it. It is also a third of the size.
 */
import { ExtData, ExtensionCodec } from "@msgpack/msgpack";
import { Raw } from "../wire/messages.ts";

/** A byte order mark is part of the text. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
/** Up to here a loop is faster than a call of the decoder. */
const shortTextMax = 24;

/** Every method throws where the bytes end too early or are no MessagePack. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /**
   * One value. Integers beyond 2^53 lose precision, byte strings are views, timestamps are `Date`, other extensions
   * `ExtData`; a map is an object, or a `Map` where a key is not text or a number, or is `__proto__`.
   */
  value(): unknown {
    const byte = this.#uint(1);
    if (byte < 0x80) return byte;
    if (byte < 0x90) return this.#map(byte & 0x0f);
    if (byte < 0xa0) return this.#list(byte & 0x0f);
    if (byte < 0xc0) return this.#text(byte & 0x1f);
    if (byte >= 0xe0) return byte - 0x100;
    if (byte >= 0xde) return this.#map(this.#uint(byte === 0xde ? 2 : 4));
    if (byte >= 0xdc) return this.#list(this.#uint(byte === 0xdc ? 2 : 4));
    if (byte >= 0xd9) return this.#text(this.#uint(1 << (byte - 0xd9)));
    if (byte >= 0xd4) return this.#extension(1 << (byte - 0xd4));
    return this.#other(byte);
  }

  /** The bytes of one value. */
  raw(): Raw {
    const start = this.#at;
    this.value();
    return new Raw(this.#bytes.subarray(start, this.#at));
  }

  /** An array, each element read by `element`. */
  list(element: (index: number) => unknown): unknown[] {
    const byte = this.#uint(1);
    if (byte >= 0x90 && byte < 0xa0) return this.#list(byte & 0x0f, element);
    if (byte !== 0xdc && byte !== 0xdd) throw new RangeError("Not an array");
    return this.#list(this.#uint(byte === 0xdc ? 2 : 4), element);
  }

  /** A map with text for keys, each field read by `field`. */
  fields(field: (key: string) => unknown): Record<string, unknown> {
    const byte = this.#uint(1);
    const short = byte >= 0x80 && byte < 0x90;
    if (!short && byte !== 0xde && byte !== 0xdf) throw new RangeError("Not a map");
    const fields: Record<string, unknown> = {};
    const count = short ? byte & 0x0f : this.#uint(byte === 0xde ? 2 : 4);
    for (let i = 0; i < count; i++) {
      const key = String(this.value());
      fields[key] = field(key);
    }
    return fields;
  }

  /** c0…d3. */
  #other(byte: number): unknown {
    switch (byte) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return this.#view.getFloat32(this.#pass(4));
      case 0xcb:
        return this.#view.getFloat64(this.#pass(8));
      case 0xcf:
        return this.#uint(4) * 2 ** 32 + this.#uint(4);
      case 0xd0:
        return this.#view.getInt8(this.#pass(1));
      case 0xd1:
        return this.#view.getInt16(this.#pass(2));
      case 0xd2:
        return this.#view.getInt32(this.#pass(4));
      case 0xd3:
        return this.#view.getInt32(this.#pass(4)) * 2 ** 32 + this.#uint(4);
    }
    if (byte >= 0xcc) return this.#uint(1 << (byte - 0xcc));
    if (byte >= 0xc7) return this.#extension(this.#uint(1 << (byte - 0xc7)));
    if (byte >= 0xc4) return this.#binary(this.#uint(1 << (byte - 0xc4)));
    throw new RangeError("Not MessagePack");
  }

  #list(count: number, element: (index: number) => unknown = () => this.value()): unknown[] {
    const list: unknown[] = [];
    for (let i = 0; i < count; i++) list.push(element(i));
    return list;
  }

  #map(count: number): unknown {
    const plain: Record<string, unknown> = {};
    let odd: Map<unknown, unknown> | null = null;
    for (let i = 0; i < count; i++) {
      const key = this.value();
      const value = this.value();
      if (odd === null && ((typeof key !== "string" && typeof key !== "number") || key === "__proto__")) {
        odd = new Map(Object.entries(plain));
      }
      if (odd) odd.set(key, value);
      else plain[key as string] = value;
    }
    return odd ?? plain;
  }

  #text(length: number): string {
    const start = this.#pass(length);
    const bytes = this.#bytes;
    if (length > shortTextMax) return utf8.decode(bytes.subarray(start, start + length));
    let text = "";
    for (let i = start; i < start + length; i++) {
      const unit = bytes[i] as number;
      if (unit >= 0x80) return utf8.decode(bytes.subarray(start, start + length));
      text += String.fromCharCode(unit);
    }
    return text;
  }

  #extension(length: number): unknown {
    const type = this.#view.getInt8(this.#pass(1));
    const body = this.#binary(length);
    try {
      return ExtensionCodec.defaultCodec.decode(body, type, undefined);
    } catch {
      // A timestamp that is none.
      return new ExtData(type, body);
    }
  }

  #binary(length: number): Uint8Array {
    const start = this.#pass(length);
    return this.#bytes.subarray(start, start + length);
  }

  #uint(width: number): number {
    const start = this.#pass(width);
    if (width === 1) return this.#bytes[start] as number;
    return width === 2 ? this.#view.getUint16(start) : this.#view.getUint32(start);
  }

  /** Where the next `length` bytes begin. */
  #pass(length: number): number {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new RangeError("The frame ends within a value");
    return start;
  }
}
