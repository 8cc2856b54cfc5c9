/**
 * The messages of one batch as they stand in an entry of a stored log and in a packet: their number, for each its bytes and
 * the bytes of its payload (uint32), then all bytes. Written once, by the instance that publishes them.
 */
import type { ByteWriter } from "../lib/byte-writer.ts";
import type { Body } from "../wire/messages.ts";

/** What a message takes beside its bytes. */
export const entryOverhead = 8;

/** Some messages of a list. */
export interface Span {
  readonly bodies: readonly { readonly body: Body }[];
  readonly from: number;
  readonly to: number;
}

/** Bytes that a span takes as an entry. */
export function entrySize({ bodies, from, to }: Span): number {
  let size = 4 + entryOverhead * (to - from);
  for (let i = from; i < to; i++) size += (bodies[i] as { body: Body }).body.bytes.length;
  return size;
}

export function writeEntry(writer: ByteWriter, { bodies, from, to }: Span): void {
  writer.u32(to - from);
  for (let i = from; i < to; i++) {
    const { bytes, payloadLength } = (bodies[i] as { body: Body }).body;
    writer.u32(bytes.length);
    writer.u32(payloadLength);
  }
  for (let i = from; i < to; i++) writer.append((bodies[i] as { body: Body }).body.bytes);
}

/** Reads an entry that begins at `start`; bodies are views. */
export class EntryReader {
  readonly count: number;
  readonly #source: Buffer;
  readonly #view: DataView;
  readonly #start: number;
  #index = 0;
  #at: number;

  constructor(source: Buffer, start = 0) {
    this.#source = source;
    this.#view = new DataView(source.buffer, source.byteOffset, source.length);
    this.#start = start + 4;
    this.count = this.#view.getUint32(start);
    this.#at = this.#start + entryOverhead * this.count;
  }

  /** Bytes of the next message. */
  get nextBytes(): number {
    return this.#view.getUint32(this.#start + entryOverhead * this.#index);
  }

  next(): Body {
    const length = this.nextBytes;
    const payloadLength = this.#view.getUint32(this.#start + entryOverhead * this.#index + 4);
    const at = this.#at;
    this.#index++;
    this.#at = at + length;
    return { bytes: this.#source.subarray(at, at + length), payloadLength };
  }

  skip(): void {
    this.#at += this.nextBytes;
    this.#index++;
  }
}
