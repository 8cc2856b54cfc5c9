/**
 * Sockets without a network: `FakeConnection` is a WebSocket as a session sees it, `FakeNativeServer` the native topics
 * of one listener. What the client does not read piles up as buffered bytes; past the hard mark the socket is ended, as
 * Bun ends it.
 */
import type { NativeServer } from "../../src/hub/subscriber.ts";
import type { Connection } from "../../src/session/connection.ts";
import type { Lane } from "../../src/wire/messages.ts";

/** What the session on top of a connection is told. */
export interface SocketEvents {
  /** A frame of the client. */
  receive(frame: Uint8Array | string): void;
  /** The client read some of what was buffered. */
  drained(): void;
  heard(): void;
  /** 1006: without a close frame. */
  closed(code: number): void;
}

/** The client's side: called as it reads, in order. */
export interface ClientEvents {
  frame(frame: Uint8Array | string): void;
  /** No frame comes after it. 1006: the socket went without a close frame. */
  closed(code: number): void;
}

export interface FakeConnectionOptions {
  readonly server: FakeNativeServer;
  readonly lane: Lane;
  readonly client: ClientEvents;
}

/** With no more than this in its way the close frame is sent at once. */
const closeAtOnceBytes = 64 * 1024;

const nobody: SocketEvents = { receive() {}, drained() {}, heard() {}, closed() {} };

export class FakeConnection implements Connection {
  readonly lane: Lane;
  readonly remoteAddress = "192.0.2.1";
  readonly origin = null;
  readonly server: FakeNativeServer;
  readonly topics = new Set<string>();
  /** Frames that the runtime has read already when it is told to pause: they are delivered all the same. */
  readAhead = 0;
  #ahead = 0;
  /** What sits on top of the socket; set once it is there. */
  session: SocketEvents = nobody;
  readonly #client: ClientEvents;
  #reading = true;
  /** Reasons for which the server does not read. */
  #pauses = 0;
  #open = true;
  /** Sent by the server and not read by the client. */
  #outgoing: (Uint8Array | string)[] = [];
  #bufferedBytes = 0;
  /** Sent by the client and not read by the server. */
  #incoming: (Uint8Array | string)[] = [];
  /** Why the client's side is yet to close, once it has read everything. */
  #closeCode: number | null = null;
  #clientClosed = false;
  #overfull = false;
  #farewell: number | null = null;
  /** The client is being handed a frame: what it sends meanwhile reaches the server later, as on a network. */
  #handing = false;

  constructor({ server, lane, client }: FakeConnectionOptions) {
    this.server = server;
    this.lane = lane;
    this.#client = client;
    server.connections.add(this);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get reading(): boolean {
    return this.#reading;
  }

  get paused(): boolean {
    return this.#pauses > 0;
  }

  // The server's side.

  write(frame: Uint8Array | string): void {
    if (!this.#open || this.#overfull) return;
    // `slice` of a Buffer would be a view on bytes that are written to again.
    const own = typeof frame === "string" ? frame : Uint8Array.prototype.slice.call(frame);
    if (this.#reading && this.#outgoing.length === 0) return this.#hand(own);
    this.#outgoing.push(own);
    this.#bufferedBytes += Buffer.byteLength(own);
    // Bun ends the socket on a later turn; until then nothing more is taken, so what the client gets has no gap.
    if (this.#bufferedBytes > this.server.hardMarkBytes) this.#overfull = true;
  }

  bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  joinTopic(topic: string): void {
    if (this.#open) this.server.join(topic, this);
  }

  leaveTopic(topic: string): void {
    this.server.leave(topic, this);
  }

  publishToOthers(topic: string, frame: Uint8Array | string): void {
    this.server.publishExcept(topic, frame, this);
  }

  cork(run: () => void): void {
    run();
  }

  pause(): void {
    if (this.#pauses++ === 0) this.#ahead = this.readAhead;
  }

  resume(): void {
    if (this.#pauses > 0) this.#pauses--;
  }

  ping(): void {
    if (this.#reading) this.session.heard();
  }

  /** The close frame waits behind what the client has to read before it. */
  close(code: number): void {
    if (this.#bufferedBytes <= closeAtOnceBytes) this.#end(code);
    else this.#farewell = code;
  }

  terminate(): void {
    this.#outgoing = [];
    this.#bufferedBytes = 0;
    this.#end(1006);
    this.#finishReading();
  }

  // The client's side.

  /** Frames of the client that wait for the server. */
  get waiting(): number {
    return this.#incoming.length;
  }

  /** Sends a frame; the session gets it at once, or when the server resumes. */
  send(frame: Uint8Array | string): void {
    if (!this.#open) return;
    this.#incoming.push(frame);
    if (!this.#handing) this.deliverIncoming();
  }

  /** Hands the session what waits, unless it has asked for a pause. */
  deliverIncoming(): void {
    while (this.#open && (this.#pauses === 0 || this.#ahead-- > 0)) {
      const frame = this.#incoming.shift();
      if (frame === undefined) return;
      this.session.receive(frame);
    }
  }

  stopReading(): void {
    this.#reading = false;
  }

  /** Reads `frames` of what was buffered (absent: everything, and from now on all that comes). */
  read(frames: number = Infinity): void {
    this.#reading = frames === Infinity;
    for (let i = 0; i < frames; i++) {
      const frame = this.#outgoing.shift();
      if (frame === undefined) break;
      this.#bufferedBytes -= Buffer.byteLength(frame);
      this.#hand(frame);
    }
    if (this.#farewell !== null && this.#bufferedBytes <= closeAtOnceBytes) this.#end(this.#farewell);
    this.#finishReading();
    if (this.#open) this.session.drained();
  }

  /** The network goes away: neither side hears anything more. */
  drop(): void {
    this.terminate();
  }

  /** What Bun does between two turns: ends sockets that are past the hard mark. */
  tick(): void {
    if (this.#overfull && this.#open) this.#end(1006);
  }

  #hand(frame: Uint8Array | string): void {
    this.#handing = true;
    try {
      this.#client.frame(frame);
    } finally {
      this.#handing = false;
    }
  }

  #end(code: number): void {
    if (!this.#open) return;
    this.#open = false;
    this.#closeCode = code;
    this.#incoming = [];
    this.server.forget(this);
    this.session.closed(code);
    if (this.#reading) this.#finishReading();
  }

  #finishReading(): void {
    if (this.#closeCode === null || this.#clientClosed || this.#outgoing.length > 0) return;
    this.#clientClosed = true;
    this.#client.closed(this.#closeCode);
  }
}

export class FakeNativeServer implements NativeServer {
  readonly connections = new Set<FakeConnection>();
  /** Bytes buffered for a socket above which it is ended. */
  readonly hardMarkBytes: number;
  readonly #topics = new Map<string, Set<FakeConnection>>();

  constructor(payloadMaxBytes: number = 1024 * 1024) {
    this.hardMarkBytes = 4 * 1024 * 1024 + 2 * payloadMaxBytes;
  }

  publish(topic: string, frame: Uint8Array | string): void {
    this.publishExcept(topic, frame, null);
  }

  publishExcept(topic: string, frame: Uint8Array | string, except: FakeConnection | null): void {
    for (const connection of this.#topics.get(topic) ?? []) if (connection !== except) connection.write(frame);
  }

  join(topic: string, connection: FakeConnection): void {
    let members = this.#topics.get(topic);
    if (members === undefined) this.#topics.set(topic, (members = new Set()));
    members.add(connection);
    connection.topics.add(topic);
  }

  leave(topic: string, connection: FakeConnection): void {
    const members = this.#topics.get(topic);
    members?.delete(connection);
    if (members?.size === 0) this.#topics.delete(topic);
    connection.topics.delete(topic);
  }

  /** A socket that is gone is in no topic. */
  forget(connection: FakeConnection): void {
    for (const topic of connection.topics) this.leave(topic, connection);
    this.connections.delete(connection);
  }

  /** Sockets in a topic. */
  members(topic: string): number {
    return this.#topics.get(topic)?.size ?? 0;
  }

  /** What happens between two turns. */
  tick(): void {
    for (const connection of this.connections) {
      connection.tick();
      connection.deliverIncoming();
    }
  }
}
