/**
 * A checked place in MessagePack bytes. Nothing is allocated for what is read, no length is believed beyond the bytes
 * that are there, and nesting is bounded. Methods that look for one type leave the cursor where it was and answer −1
 * where another type stands there; bytes that are no MessagePack, or that end too early, throw.
 */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";

const empty = new Uint8Array(0);
const nilByte = 0xc0;

export class Cursor {
  bytes: Uint8Array = empty;
  at = 0;
  end = 0;
  /** Values still to come on each outer level, while `skip` is within nested containers. */
  readonly #pending: Uint32Array;

  /** `depthMax`: the most that `skip` will ever be asked for. */
  constructor(depthMax: number) {
    this.#pending = new Uint32Array(depthMax + 1);
  }

  load(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.load(empty);
  }

  /** Whether the value here is nil; the cursor stays. */
  isNil(): boolean {
    return this.at < this.end && this.bytes[this.at] === nilByte;
  }

  /** Passes an array header and returns its count, or −1. @throws ProtocolError `malformed` */
  arrayHeader(): number {
    const byte = this.#peek();
    if ((byte & 0xf0) === 0x90) return this.#count(byte & 0x0f, 1, 1);
    if (byte === 0xdc) return this.#count(this.#uintAt(1, 2), 3, 1);
    if (byte === 0xdd) return this.#count(this.#uintAt(1, 4), 5, 1);
    return -1;
  }

  /** Passes a map header and returns its count, or −1. @throws ProtocolError `malformed` */
  mapHeader(): number {
    const byte = this.#peek();
    if ((byte & 0xf0) === 0x80) return this.#count(byte & 0x0f, 1, 2);
    if (byte === 0xde) return this.#count(this.#uintAt(1, 2), 3, 2);
    if (byte === 0xdf) return this.#count(this.#uintAt(1, 4), 5, 2);
    return -1;
  }

  /** Passes a string header and returns the length in bytes (all of them are there), or −1. @throws ProtocolError `malformed` */
  stringHeader(): number {
    const byte = this.#peek();
    if ((byte & 0xe0) === 0xa0) return this.#length(byte & 0x1f, 1);
    if (byte === 0xd9) return this.#length(this.#uintAt(1, 1), 2);
    if (byte === 0xda) return this.#length(this.#uintAt(1, 2), 3);
    if (byte === 0xdb) return this.#length(this.#uintAt(1, 4), 5);
    return -1;
  }

  /** Passes the header of a byte string and returns the length (all of it is there), or −1. @throws ProtocolError `malformed` */
  binHeader(): number {
    const byte = this.#peek();
    if (byte === 0xc4) return this.#length(this.#uintAt(1, 1), 2);
    if (byte === 0xc5) return this.#length(this.#uintAt(1, 2), 3);
    if (byte === 0xc6) return this.#length(this.#uintAt(1, 4), 5);
    return -1;
  }

  /** Passes an integer from 0 to 2^53−1 of any width, or returns −1. @throws ProtocolError `malformed` */
  uint(): number {
    const byte = this.#peek();
    if (byte < 0x80) {
      this.at++;
      return byte;
    }
    if (byte < 0xcc || byte > 0xcf) return -1;
    const width = 1 << (byte - 0xcc);
    const value = width < 8 ? this.#uintAt(1, width) : this.#uintAt(1, 4) * 0x1_0000_0000 + this.#uintAt(5, 4);
    if (value > Number.MAX_SAFE_INTEGER) return -1;
    this.at += 1 + width;
    return value;
  }

  /** 1 true, 0 false, −1 something else. @throws ProtocolError `malformed` */
  bool(): number {
    const byte = this.#peek();
    if (byte !== 0xc2 && byte !== 0xc3) return -1;
    this.at++;
    return byte - 0xc2;
  }

  /**
   * Passes one whole value, whose containers are nested at most `depthMax` levels.
   * @throws ProtocolError `malformed`, or `tooDeep` (hostile)
   */
  skip(depthMax: number): void {
    const { end } = this;
    const pending = this.#pending;
    let depth = 0;
    let left = 1;
    while (true) {
      left--;
      const children = this.#skipHead();
      if (this.at > end) throw truncated();
      if (children >= 0) {
        if (children > end - this.at) throw truncated();
        if (depth >= depthMax) throw tooDeep();
        pending[depth++] = left;
        left = children;
      }
      while (left === 0) {
        if (depth === 0) return;
        left = pending[--depth] as number;
      }
    }
  }

  /** Passes a value without what it contains: returns how many values follow that belong to it, −1 where it is no container. */
  #skipHead(): number {
    const byte = this.#peek();
    this.at++;
    if (byte < 0x80 || byte >= 0xe0) return -1;
    if (byte < 0x90) return (byte & 0x0f) * 2;
    if (byte < 0xa0) return byte & 0x0f;
    if (byte < 0xc0) return this.#pass(byte & 0x1f);
    if (byte >= 0xdc) return this.#skipCount(byte);
    if (byte === 0xc1) throw new ProtocolError(errors.malformed, "Byte 0xc1 is not MessagePack");
    const spec = tailOf[byte - 0xc0] as number;
    if (spec >= 0) return this.#pass(spec);
    // Extensions (c7…c9) have one byte more, their type.
    const width = -spec;
    const length = this.#uintAt(0, width);
    return this.#pass(width + length + (byte >= 0xc7 && byte <= 0xc9 ? 1 : 0));
  }

  #skipCount(byte: number): number {
    const width = byte & 1 ? 4 : 2;
    const count = this.#uintAt(0, width);
    this.at += width;
    return byte < 0xde ? count : count * 2;
  }

  #pass(count: number): -1 {
    this.at += count;
    return -1;
  }

  #peek(): number {
    if (this.at >= this.end) throw truncated();
    return this.bytes[this.at] as number;
  }

  /** `width` bytes, `offset` after the cursor, as a big-endian number. */
  #uintAt(offset: number, width: number): number {
    const start = this.at + offset;
    if (start + width > this.end) throw truncated();
    let value = 0;
    for (let i = start; i < start + width; i++) value = value * 256 + (this.bytes[i] as number);
    return value;
  }

  /** Passes a header of `size` bytes that announces `count` entries of `each` values, every one at least a byte long. */
  #count(count: number, size: number, each: number): number {
    if (count * each > this.end - this.at - size) throw truncated();
    this.at += size;
    return count;
  }

  #length(length: number, size: number): number {
    return this.#count(length, size, 1);
  }
}

/** Bytes after the first one, for c0…db: fixed where ≥ 0; minus the width of a length field where not. */
const tailOf = [0, 0, 0, 0, -1, -2, -4, -1, -2, -4, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, -1, -2, -4] as const;

function truncated(): ProtocolError {
  return new ProtocolError(errors.malformed, "The frame ends within a value");
}

function tooDeep(): ProtocolError {
  return new ProtocolError(errors.tooDeep, errors.tooDeep.text, { hostile: true });
}
