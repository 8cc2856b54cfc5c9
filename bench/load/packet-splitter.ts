/**
 * Cuts a stream into the packets of a protocol, wherever it was cut on its way. A packet that is whole in a chunk is
 * handed on where it stands; only what is cut is copied together.
 */
import { ByteWriter } from "../../src/lib/byte-writer.ts";

/** What the packets of a protocol look like. */
export interface PacketFormat {
  /** Bytes of the packet that begins at `start`, seen up to `end`: −1 where that cannot be said yet, 0 where it is none. */
  measure(bytes: Uint8Array, start: number, end: number): number;
  /** A whole packet, the one measured last; valid during the call. */
  packet(bytes: Uint8Array, start: number, end: number): void;
}

export class PacketSplitter {
  readonly #format: PacketFormat;
  /** A packet that is not whole yet; made when it is needed, as most connections never do. */
  #rest: ByteWriter | null = null;
  #broken = false;

  constructor(format: PacketFormat) {
    this.#format = format;
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    const format = this.#format;
    let at = start;
    if (this.#rest !== null && this.#rest.length > 0) at = this.#complete(this.#rest, bytes, at, end);
    while (at < end && !this.#broken) {
      const length = format.measure(bytes, at, end);
      if (length === 0) {
        this.#broken = true;
      } else if (length < 0 || length > end - at) {
        this.#rest ??= new ByteWriter(Math.max(length, end - at));
        this.#rest.append(bytes, at, end);
        return;
      } else {
        format.packet(bytes, at, at + length);
        at += length;
      }
    }
  }

  /** Takes what the packet in `rest` lacks, no more; returns where the next one begins. */
  #complete(rest: ByteWriter, bytes: Uint8Array, start: number, end: number): number {
    for (let at = start; ;) {
      const length = this.#format.measure(rest.bytes, 0, rest.length);
      if (length === 0) {
        this.#broken = true;
        return end;
      }
      if (length === rest.length) {
        rest.reset();
        this.#format.packet(rest.bytes, 0, length);
        return at;
      }
      if (at === end) return end;
      // Of what says the length one byte at a time: it is cut once in a chunk at most.
      const count = length < 0 ? 1 : Math.min(length - rest.length, end - at);
      rest.append(bytes, at, at + count);
      at += count;
    }
  }
}
