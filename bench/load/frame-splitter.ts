/**
 * Takes WebSocket frames of a server apart (RFC 6455), wherever the bytes were cut. A message that is whole in a chunk
 * is handed on where it stands; only what is cut is copied together.
 */
import { ByteWriter } from "../../src/lib/byte-writer.ts";

export const frameOp = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** What the splitter finds. The bytes are valid during the call. */
export interface FrameSink {
  /** A message, put together where it came in fragments. `compressed`: permessage-deflate. */
  message(bytes: Uint8Array, start: number, end: number, compressed: boolean): void;
  /** A close, ping or pong. */
  control(op: number, bytes: Uint8Array, start: number, end: number): void;
  /** The bytes are no frames that a server may send; nothing more is read. */
  broken(reason: string): void;
}

const finBit = 0x80;
const compressedBit = 0x40;
const otherReservedBits = 0x30;
const maskBit = 0x80;
/** Of what a server sends to the bench at once; a length beyond it was misread. */
const lengthMax = 2 ** 28;

export class FrameSplitter {
  readonly #sink: FrameSink;
  /** A frame that is not whole yet; made when it is needed, as most connections never do. */
  #rest: ByteWriter | null = null;
  /** The fragments of a message so far. */
  #fragments: ByteWriter | null = null;
  #fragmented = false;
  #fragmentsCompressed = false;
  #broken = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Uint8Array, start = 0): void {
    let at = start;
    const rest = this.#rest;
    if (rest !== null && rest.length > 0) at = this.#complete(rest, chunk, at);
    const end = chunk.length;
    while (at < end && !this.#broken) {
      const length = frameLength(chunk, at, end);
      if (length < 0 || length > end - at) {
        if (length > lengthMax) return this.#break("A frame is too long");
        this.#rest ??= new ByteWriter(Math.min(Math.max(length, end - at), 2 ** 16));
        this.#rest.append(chunk, at, end);
        return;
      }
      this.#frame(chunk, at, at + length);
      at += length;
    }
  }

  /** Takes from `chunk` what the frame in `rest` lacks, no more; returns where the next frame begins. */
  #complete(rest: ByteWriter, chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length) {
      const length = frameLength(rest.bytes, 0, rest.length);
      if (length > lengthMax) {
        this.#break("A frame is too long");
        return chunk.length;
      }
      // Of a header only one byte at a time: it is cut once in a blue moon.
      const count = length < 0 ? 1 : Math.min(length - rest.length, chunk.length - at);
      rest.append(chunk, at, at + count);
      at += count;
      if (length >= 0 ? rest.length === length : frameLength(rest.bytes, 0, rest.length) === rest.length) {
        const whole = rest.length;
        rest.reset();
        this.#frame(rest.bytes, 0, whole);
        return at;
      }
    }
    return at;
  }

  #frame(bytes: Uint8Array, start: number, end: number): void {
    const first = bytes[start] as number;
    const short = bytes[start + 1] as number;
    if (short & maskBit) return this.#break("A server must not mask");
    if (first & otherReservedBits) return this.#break("A reserved bit is set");
    const from = start + headerLength(short);
    const op = first & 0x0f;
    const fin = (first & finBit) !== 0;
    const compressed = (first & compressedBit) !== 0;
    if (op >= frameOp.close) {
      if (op > frameOp.pong || !fin || short > 125 || compressed) return this.#break("A control frame that is none");
      return this.#sink.control(op, bytes, from, end);
    }
    if (op > frameOp.binary) return this.#break(`Frames with opcode ${op} are not known`);
    if ((op === frameOp.continuation) !== this.#fragmented) return this.#break("A fragment out of place");
    if (fin && !this.#fragmented) return this.#sink.message(bytes, from, end, compressed);
    this.#fragment(fin, compressed, bytes, from, end);
  }

  #fragment(fin: boolean, compressed: boolean, bytes: Uint8Array, from: number, end: number): void {
    const fragments = (this.#fragments ??= new ByteWriter());
    if (!this.#fragmented) {
      fragments.reset();
      this.#fragmentsCompressed = compressed;
    }
    fragments.append(bytes, from, end);
    this.#fragmented = !fin;
    if (fin) this.#sink.message(fragments.bytes, 0, fragments.length, this.#fragmentsCompressed);
  }

  #break(reason: string): void {
    this.#broken = true;
    this.#sink.broken(reason);
  }
}

/** Bytes before the payload, by the second byte of the frame; no mask. */
function headerLength(short: number): number {
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}

/** Of the frame that begins at `at`, header included; −1 where its header is not whole. */
function frameLength(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 2) return -1;
  const short = (bytes[at + 1] as number) & 0x7f;
  if (short < 126) return 2 + short;
  const header = short === 126 ? 4 : 10;
  if (end - at < header) return -1;
  let length = 0;
  for (let i = at + 2; i < at + header; i++) length = length * 256 + (bytes[i] as number);
  return header + length;
}

/** Header of a frame of a client, masked with zeros: a mask is asked for, and this one leaves the bytes as they are. */
export function writeFrameHeader(w: ByteWriter, op: number, length: number): void {
  w.u8(finBit | op);
  if (length < 126) w.u8(maskBit | length);
  else if (length < 2 ** 16) {
    w.u8(maskBit | 126);
    w.u16(length);
  } else {
    w.u8(maskBit | 127);
    w.u64(length);
  }
  w.u32(0);
}
