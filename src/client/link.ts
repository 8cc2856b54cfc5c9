/**
 * One connection, from opening to its one end: frames in and out, answers matched with their calls, heartbeat. It knows
 * nothing of reconnecting, tokens or subscriptions.
 */
import { op, subprotocols } from "../wire/messages.ts";
import { decodeFrame, encodeMessage } from "./codec.ts";
import { refused, TagcastError } from "./errors.ts";
import { Heartbeat } from "./heartbeat.ts";
import { asFields, asNumber, asText, type Fields } from "./inbound.ts";
import { Outbox } from "./outbox.ts";
import type { Timer, Timers } from "./timers.ts";
import type { WebSocketConstructor, WebSocketLike } from "./types.ts";

/** From opening the socket to the answer of op 1. */
const openTimeoutMs = 15_000;
const congestedBytes = 1024 * 1024;
const refMax = 0xffff_ffff;
const socketOpen = 1;

/** How a link ended. */
export interface LinkEnd {
  /** Of op 22, else of the close frame; 1006 where there was neither. */
  readonly code: number;
  readonly text: string;
  readonly retryAfterMs: number;
  /** The answer of op 1, where that ended it. */
  readonly refusal: TagcastError | null;
}

export interface LinkOptions {
  readonly url: string;
  readonly webSocket: WebSocketConstructor;
  readonly timers: Timers;
  readonly raw: boolean;
  /** Options of op 1. */
  readonly connect: object;
  /** Op 1 was answered. */
  readonly opened: (result: Fields) => void;
  /** Every message that is no answer. */
  readonly message: (message: readonly unknown[]) => void;
  /** Called once, after all calls that were not answered have failed. */
  readonly ended: (end: LinkEnd) => void;
}

interface Call {
  readonly done: (result: Fields) => void;
  readonly failed: (error: TagcastError) => void;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #socket: WebSocketLike;
  readonly #outbox: Outbox;
  readonly #calls = new Map<number, Call>();
  readonly #deadline: Timer;
  #heartbeat: Heartbeat | null = null;
  #ref = 0;
  /** The WebSocket handshake has succeeded. */
  #reached = false;
  #trouble = "";
  #ended = false;

  /** @throws where `url` is not one of a WebSocket */
  constructor(options: LinkOptions) {
    this.#options = options;
    const socket = new options.webSocket(options.url, [subprotocols.msgpack]);
    this.#socket = socket;
    this.#outbox = new Outbox((frame) => {
      if (!this.#ended && socket.readyState === socketOpen) socket.send(frame);
    });
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#open();
    socket.onmessage = (event: { data: unknown }) => this.#receive(event.data);
    socket.onerror = (event: { message?: string }) => this.#fail(event.message ?? "");
    socket.onclose = (event: { code: number; reason: string }) => this.#end(event.code, event.reason || this.#trouble);
    this.#deadline = options.timers.after(openTimeoutMs, () => this.#end(1006, "The server did not answer in time"));
  }

  /** False from its end on. */
  get alive(): boolean {
    return !this.#ended;
  }

  /** Whether so much waits to be sent that more had better wait elsewhere. */
  get congested(): boolean {
    return this.#socket.bufferedAmount > congestedBytes;
  }

  /** Sends what `encode` makes of a fresh ref; one of the two callbacks is called, once. */
  request(encode: (ref: number) => Uint8Array<ArrayBuffer>, call: Call): void {
    if (this.#ended) return call.failed(disconnected(1006, ""));
    do this.#ref = this.#ref === refMax ? 1 : this.#ref + 1;
    while (this.#calls.has(this.#ref));
    const message = encode(this.#ref);
    this.#calls.set(this.#ref, call);
    this.#outbox.add(message);
  }

  /** A request as a promise; `rest` follows the ref. Rejects with a `TagcastError`. */
  call(code: number, ...rest: readonly unknown[]): Promise<Fields> {
    return new Promise((done, failed) => {
      this.request((ref) => encodeMessage(code, ref, ...rest), { done, failed });
    });
  }

  /** Sends bytes that nobody awaits an answer for. */
  send(message: Uint8Array<ArrayBuffer>): void {
    if (!this.#ended) this.#outbox.add(message);
  }

  /** Ends it from this side, sending first what waits. */
  close(): void {
    this.#outbox.flush();
    this.#end(1000, "");
  }

  #fail(trouble: string): void {
    this.#trouble = trouble;
    // Node does not follow the error with a close where the connection was never made.
    if (!this.#reached) this.#end(1006, trouble);
  }

  #open(): void {
    this.#reached = true;
    const failed = (refusal: TagcastError) => this.#end(refusal.code ?? 1006, refusal.message, 0, refusal);
    this.request((ref) => encodeMessage(op.connect, ref, this.#options.connect), {
      done: (result) => this.#opened(result),
      failed,
    });
  }

  #opened(result: Fields): void {
    this.#deadline.cancel();
    const seconds = asNumber(result["ping"]);
    if (seconds !== null && seconds > 0) {
      this.#heartbeat = new Heartbeat({
        timers: this.#options.timers,
        intervalMs: seconds * 1000,
        ping: () => void this.call(op.ping).catch(() => {}),
        dead: () => this.#end(1006, "Nothing was heard from the server"),
      });
    }
    this.#options.opened(result);
  }

  #receive(frame: unknown): void {
    if (this.#ended) return;
    this.#heartbeat?.heard();
    const messages: unknown[] = [];
    const whole = frame instanceof ArrayBuffer && decodeFrame(new Uint8Array(frame), this.#options.raw, messages);
    for (const message of messages) {
      if (Array.isArray(message)) this.#dispatch(message);
      if (this.#ended) return;
    }
    if (!whole) this.#end(1002, "The server sent a frame that is not well-formed");
  }

  #dispatch(message: readonly unknown[]): void {
    const [code, ref] = message;
    if (code === op.ok) this.#take(ref)?.done(asFields(message[2]));
    else if (code === op.error && ref !== 0) {
      this.#take(ref)?.failed(refused(asNumber(message[2]) ?? 0, asText(message[3]) ?? ""));
    } else if (code === op.disconnect) {
      this.#end(asNumber(ref) ?? 1006, asText(message[2]) ?? "", asNumber(message[3]) ?? 0);
    } else this.#options.message(message);
  }

  #take(ref: unknown): Call | undefined {
    const call = this.#calls.get(ref as number);
    this.#calls.delete(ref as number);
    return call;
  }

  #end(code: number, text: string, retryAfterMs = 0, refusal: TagcastError | null = null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deadline.cancel();
    this.#heartbeat?.stop();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // Some implementations throw an error that nobody listens to.
    socket.onerror = () => {};
    // Browsers allow no other code than 1000 here; the server knows anyway why it or the network ended the connection.
    socket.close(1000);
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.failed(disconnected(code, text));
    this.#options.ended({ code, text, retryAfterMs, refusal });
  }
}

function disconnected(code: number, text: string): TagcastError {
  return new TagcastError("disconnected", text || "The connection was lost", { code, retry: true });
}
