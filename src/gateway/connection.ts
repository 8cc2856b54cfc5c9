/**
 * One WebSocket of Bun as the connection of a session. A socket that was closed cannot be terminated any more, however
 * much waits in it and however slowly it is read: so where much waits it is closed only once that was taken.
 */
import type { ServerWebSocket } from "bun";
import type { NativeServer } from "../hub/subscriber.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Flow } from "../observe/traffic.ts";
import type { Connection } from "../session/connection.ts";
import type { Lane } from "../wire/messages.ts";
import type { Entry, SocketData } from "./websocket.ts";

/** Below it a frame would hardly shrink. */
const compressedFromBytes = 128;

/** Whether a frame is to be compressed, where the client and the configuration agree to that at all. */
export function isWorthCompressing(enabled: boolean, frame: Uint8Array | string): boolean {
  return enabled && frame.length >= compressedFromBytes;
}

/** With no more than this in the way the close frame is sent at once. */
const closeAtOnceBytes = 64 * 1024;
/** How long a peer may take to read what is in the way of its close frame. */
const cutOffAfterMs = 5000;

interface Farewell {
  readonly code: number;
  readonly reason: string;
  readonly cutOff: Timer;
}

export class BunConnection implements Connection {
  readonly lane: Lane;
  readonly remoteAddress: string;
  readonly origin: string | null;
  readonly server: NativeServer;
  readonly #traffic: Flow;
  readonly #socket: ServerWebSocket<SocketData>;
  readonly #clock: Clock;
  readonly #compression: boolean;
  /** Reasons for which it is not read from. */
  #pauses = 0;
  #farewell: Farewell | null = null;

  constructor(
    socket: ServerWebSocket<SocketData>,
    entry: Entry,
    parts: { server: NativeServer; clock: Clock; traffic: Flow; compression: boolean },
  ) {
    this.#socket = socket;
    this.#traffic = parts.traffic;
    this.#clock = parts.clock;
    this.#compression = parts.compression;
    this.lane = entry.lane;
    this.remoteAddress = entry.remoteAddress;
    this.origin = entry.origin;
    this.server = parts.server;
  }

  write(frame: Uint8Array | string): void {
    this.#traffic.bytesOut += byteLength(frame);
    this.#socket.send(frame, isWorthCompressing(this.#compression, frame));
  }

  bufferedBytes(): number {
    return this.#socket.getBufferedAmount();
  }

  joinTopic(topic: string): void {
    this.#socket.subscribe(topic);
  }

  leaveTopic(topic: string): void {
    this.#socket.unsubscribe(topic);
  }

  publishToOthers(topic: string, frame: Uint8Array | string): void {
    this.#socket.publish(topic, frame, isWorthCompressing(this.#compression, frame));
  }

  cork(run: () => void): void {
    this.#socket.cork(run);
  }

  pause(): void {
    if (++this.#pauses === 1) this.#socket.pause();
  }

  resume(): void {
    if (this.#pauses > 0 && --this.#pauses === 0) this.#socket.resume();
  }

  ping(): void {
    this.#socket.ping();
  }

  close(code: number, reason: string): void {
    if (this.#pauses > 0) {
      // The peer's own close frame must be seen.
      this.#pauses = 0;
      this.#socket.resume();
    }
    if (this.#socket.getBufferedAmount() <= closeAtOnceBytes) {
      this.#socket.close(code, reason);
      return;
    }
    const cutOff = this.#clock.after(cutOffAfterMs, () => this.#socket.terminate());
    this.#farewell = { code, reason, cutOff };
  }

  /** The peer took some of what was buffered. */
  drained(): void {
    if (this.#farewell === null || this.#socket.getBufferedAmount() > closeAtOnceBytes) return;
    this.#socket.close(this.#farewell.code, this.#farewell.reason);
  }

  /** The socket is closed. */
  closed(): void {
    this.#farewell?.cutOff.cancel();
  }
}

function byteLength(frame: Uint8Array | string): number {
  return typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
}
