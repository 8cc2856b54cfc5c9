/**
 * The messages of one batch as they stand in a stream and in a packet: their number, for each its bytes and the bytes of
 * its payload (uint32), then all bytes. Written once, by the instance that publishes them.
 */
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { Body } from "../../wire/messages.ts";

/** What a message takes beside its bytes. */
export const entryOverhead = 8;

/** From so many bytes on an entry is an argument of its own, which Redis need not cut out of the block. */
const ownArgumentBytes = 2048;

export interface Span {
  readonly bodies: readonly { readonly body: Body }[];
  readonly from: number;
  readonly to: number;
}

/** Writes a span behind its length, or notes in `more` that it is the next argument of the call. */
export function writeMessages(writer: ByteWriter, span: Span, more: Buffer[]): void {
  let size = 4 + entryOverhead * (span.to - span.from);
  for (let i = span.from; i < span.to; i++) size += (span.bodies[i] as { body: Body }).body.bytes.length;
  if (size < ownArgumentBytes) {
    writer.u32(size);
    writer.ensure(size);
    return writeEntry(writer, span);
  }
  writer.u32(0);
  const own = new ByteWriter(size);
  writeEntry(own, span);
  more.push(own.bytes.subarray(0, own.length));
}

function writeEntry(writer: ByteWriter, { bodies, from, to }: Span): void {
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
