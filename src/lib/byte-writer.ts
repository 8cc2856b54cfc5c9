/** A growable byte buffer to write into. No write allocates, except the rare one that has to grow. */
import { copyOf } from "./bytes.ts";

/** Up to here a loop is cheaper than the call of a native copy. */
const loopBytesMax = 16;
const capacityMin = 64;

/** Half the cost of `write(text, at, "utf8")`; every Buffer has it, the types do not say so. */
type Utf8Buffer = Buffer & { utf8Write(text: string, at: number): number };

export class ByteWriter {
  /** The storage; only the first `length` bytes are written. Replaced when it grows. */
  bytes: Buffer;
  length = 0;

  /** `capacity` in bytes is what can be written before the first growth. */
  constructor(capacity = 1024) {
    this.bytes = Buffer.allocUnsafeSlow(Math.max(capacity, capacityMin));
  }

  /** Makes room for `count` more bytes; growth at least doubles. */
  ensure(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  /** Forgets what was written and keeps the storage. */
  reset(): void {
    this.length = 0;
  }

  /** What was written, as a view: valid until the next write or reset. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** What was written, as a copy of its own. */
  copy(): Uint8Array {
    return copyOf(this.bytes, 0, this.length);
  }

  u8(value: number): void {
    this.ensure(1);
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.ensure(2);
    const { bytes } = this;
    const at = this.length;
    bytes[at] = value >>> 8;
    bytes[at + 1] = value;
    this.length = at + 2;
  }

  /** A uint32, or an int32 as two's complement. */
  u32(value: number): void {
    this.ensure(4);
    const { bytes } = this;
    const at = this.length;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
    this.length = at + 4;
  }

  /** A safe integer as 64 bits, negative ones as two's complement. */
  u64(value: number): void {
    this.u32(Math.floor(value / 0x1_0000_0000));
    this.u32(value);
  }

  f64(value: number): void {
    this.ensure(8);
    this.length = this.bytes.writeDoubleBE(value, this.length);
  }

  /** Copies `source[start…end)`. */
  append(source: Uint8Array, start = 0, end = source.length): void {
    const count = end - start;
    this.ensure(count);
    const { bytes } = this;
    const at = this.length;
    if (count <= loopBytesMax) for (let i = 0; i < count; i++) bytes[at + i] = source[start + i] as number;
    // Unlike `set`, needs no view where only a part is copied; works on any Uint8Array.
    else Buffer.prototype.copy.call(source, bytes, at, start, end);
    this.length = at + count;
  }

  /** Writes `text` as UTF-8 (a lone surrogate as U+FFFD) and returns the bytes it took. */
  utf8(text: string): number {
    this.ensure(text.length * 3);
    const written = (this.bytes as Utf8Buffer).utf8Write(text, this.length);
    this.length += written;
    return written;
  }
}
