/** WebSockets of `Bun.serve`: each socket becomes the connection of a session; native topics are Bun's own. */
import type { Server, WebSocketHandler } from "bun";
import type { Identity } from "../core/identity.ts";
import type { NativeServer } from "../hub/subscriber.ts";
import type { Clock } from "../lib/clock.ts";
import type { FrameRefusal, Registry } from "../session/registry.ts";
import type { Session } from "../session/session.ts";
import type { Lane } from "../wire/messages.ts";
import type { Place } from "./admission.ts";
import { BunConnection, isWorthCompressing } from "./connection.ts";

/** What the upgrade hands to the socket. */
export interface SocketData {
  /** Null on the test endpoint that gives back what it is sent. */
  readonly entry: Entry | null;
  /** Its room; null on that endpoint. */
  readonly place: Place | null;
  /** Both from `open` on, where there is an entry. */
  session: Session | null;
  connection: BunConnection | null;
}

export interface Entry {
  readonly lane: Lane;
  readonly identity: Identity | null;
  readonly tags: readonly string[] | null;
  readonly remoteAddress: string;
  /** As the client's browser names it; null: none. */
  readonly origin: string | null;
}

/** Where native servers are published to. */
export interface Publishing {
  addServer(server: NativeServer): void;
  removeServer(server: NativeServer): void;
}

/** The topics of one server of the runtime, published to while it has sessions. */
export class BunTopics implements NativeServer {
  readonly #server: Server<SocketData>;
  readonly #compression: boolean;
  readonly #publishing: Publishing;
  #sessions = 0;

  constructor(server: Server<SocketData>, compression: boolean, publishing: Publishing) {
    this.#server = server;
    this.#compression = compression;
    this.#publishing = publishing;
  }

  sessionOpened(): void {
    if (++this.#sessions === 1) this.#publishing.addServer(this);
  }

  sessionClosed(): void {
    if (--this.#sessions === 0) this.#publishing.removeServer(this);
  }

  /** The return value is not looked at: it tells the worst of all subscribers, and not which one. */
  publish(topic: string, frame: Uint8Array | string): void {
    this.#server.publish(topic, frame, isWorthCompressing(this.#compression, frame));
  }
}

export interface WebSocketParts {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly payloadMaxBytes: number;
  readonly compression: boolean;
  /** The topics of the server, known once it listens. */
  readonly topics: () => BunTopics;
}

/**
 * Bytes beyond twice the largest payload that a frame may have. A frame over the bound is closed by the runtime (1009)
 * before any of it is seen here; up to it, what is too large is answered with an error.
 */
export const frameSlackBytes = 64 * 1024;
/** What the runtime says of frames that it ends a connection for; all else is malformed. */
const frameRefusals: Readonly<Record<string, FrameRefusal>> = {
  "Received too big message": "too-large",
  "Received invalid UTF-8": "not-utf8",
};
/** The last resort against a socket that does not read, far above the mark at which it leaves its native topics. */
const hardMarkBytes = 4 * 1024 * 1024;
export function webSocketHandler(parts: WebSocketParts): WebSocketHandler<SocketData> {
  const { registry, clock, payloadMaxBytes, compression, topics } = parts;
  return {
    maxPayloadLength: 2 * payloadMaxBytes + frameSlackBytes,
    backpressureLimit: hardMarkBytes + 2 * payloadMaxBytes,
    closeOnBackpressureLimit: true,
    // One compressor for all: a window of their own would cost some 200 kB each. The bound on a frame holds for what it inflates to.
    perMessageDeflate: compression && { compress: "shared", decompress: "shared" },
    // Our own sweep knows who is mute: this timer is put off by everything that is sent. Without it a socket that was
    // closed, and whose peer does nothing, is freed after 4 seconds.
    idleTimeout: 0,
    sendPings: false,
    open(socket) {
      const { data } = socket;
      if (data.entry === null) return;
      const traffic = registry.traffic.websocket[data.entry.lane];
      topics().sessionOpened();
      const connection = new BunConnection(socket, data.entry, { server: topics(), clock, traffic, compression });
      const session = registry.open(connection, data.entry.tags);
      // Before anything can close the socket: its close event comes at once, and must find the session.
      data.session = session;
      data.connection = connection;
      registry.begin(session, data.entry.identity);
    },
    message(socket, frame) {
      const { session, entry } = socket.data;
      if (session !== null) session.receive(frame);
      else if (entry === null) socket.send(frame, false);
    },
    drain(socket) {
      socket.data.connection?.drained();
      socket.data.session?.drained();
    },
    pong(socket) {
      socket.data.session?.pinged();
    },
    ping(socket) {
      socket.data.session?.pinged();
    },
    close(socket, code, reason) {
      socket.data.place?.release();
      // No frame brings this code: the reason is the runtime's own, for a frame that it does not hand on.
      if (code === 1006 && reason !== "" && socket.data.session !== null) {
        registry.refusedFrame(socket.data.session, frameRefusals[reason] ?? "malformed");
      }
      socket.data.connection?.closed();
      socket.data.session?.closed(code);
      if (socket.data.entry !== null) topics().sessionClosed();
    },
  };
}
