/**
 * A subscriber of one tag without a log that reads at the speed of the network: it parses no MessagePack, and compares
 * the number in each message, all of which have the same size, with the one it expects.
 */
import type { Socket } from "bun";
import { encode } from "@msgpack/msgpack";
import { op } from "../../src/wire/messages.ts";
import { frameBytes, opcode, upgradeRequest } from "./raw-socket.ts";

/** Larger than what the server gathers into one frame: each message has a frame of its own. */
export const payloadBytes = 8192;
/** Behind the frame's head: array of 4, op, tag of one byte, nil, the head of the payload. */
const headBytes = 4 + 1 + 1 + 2 + 1 + 3;
const recordBytes = headBytes + payloadBytes;

/** A payload that holds `number`. */
export function numbered(number: number): Uint8Array {
  const payload = Buffer.alloc(payloadBytes, 0x55);
  payload.writeUInt32BE(number);
  return payload;
}

export class NumberedReader {
  /** Messages that came, all of them in order. */
  count = 0;
  /** What came that was not the next message, as bytes; null while all is well. */
  stray: Buffer | null = null;
  readonly ready: Promise<void>;
  readonly #onCount: () => void;
  #socket: Socket | null = null;
  /** The head of the message at hand. */
  #head = Buffer.alloc(headBytes + 4);
  /** Bytes of the message at hand that came. */
  #at = 0;
  #before = Buffer.alloc(0);
  #subscribed = false;

  /** @param tag of one character */
  constructor(url: string, token: string, tag: string, onCount: () => void) {
    this.#onCount = onCount;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    const { hostname, port } = new URL(url);
    const subscribe = frameBytes({ opcode: opcode.binary, payload: encode([op.subscribe, 1, tag]) });
    void Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        open: (socket) => {
          this.#socket = socket;
          socket.write(upgradeRequest("/ws", { Authorization: `Bearer ${token}` }));
          socket.write(subscribe);
        },
        data: (_, bytes) => {
          if (this.#subscribed) return this.#take(bytes);
          this.#before = Buffer.concat([this.#before, bytes]);
          // A frame of 4 bytes: op 16 in answer to the subscription.
          const answer = this.#before.indexOf(Buffer.from([0x82, 4, 0x93, 16, 1, 0x80]));
          if (answer < 0) return;
          this.#subscribed = true;
          this.#take(this.#before.subarray(answer + 6));
          resolve();
        },
        close: () => reject(new Error(`Closed: ${this.#before.toString("latin1")}`)),
        error: (_, error) => reject(error),
      },
    });
  }

  close(): void {
    this.#socket?.terminate();
  }

  #take(bytes: Buffer): void {
    for (let i = 0; i < bytes.length && this.stray === null;) {
      if (this.#at < this.#head.length) {
        const part = Math.min(this.#head.length - this.#at, bytes.length - i);
        bytes.copy(this.#head, this.#at, i, i + part);
        this.#at += part;
        i += part;
        if (this.#at === this.#head.length) this.#check();
      } else {
        const part = Math.min(recordBytes - this.#at, bytes.length - i);
        this.#at += part;
        i += part;
      }
      if (this.#at === recordBytes) {
        this.#at = 0;
        this.count++;
      }
    }
    this.#onCount();
  }

  #check(): void {
    const isMessage = this.#head[0] === 0x82 && this.#head[5] === op.message;
    if (!isMessage || this.#head.readUInt32BE(headBytes) !== this.count + 1) this.stray = Buffer.from(this.#head);
  }
}
