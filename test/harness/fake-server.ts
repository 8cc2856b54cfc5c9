/**
 * A WebSocket server that says what a test tells it to, for tests of the SDK and of what is built on it. A real socket on
 * a free port; it knows the form of the wire and nothing of its rules.
 */
import { decodeMulti, encode } from "@msgpack/msgpack";
import { op } from "../../src/wire/messages.ts";

export type Parts = readonly unknown[];

export const replyPrefix = `$reply/${"0123456789abcdef".repeat(2)}`;

const connectResult = {
  version: 1,
  session: "s1",
  server: "tagcast/test",
  client: "c1",
  ping: 25,
  reply: replyPrefix,
  payloadMax: 1024 * 1024,
};

/** Called for every message of a client, after it was queued for `next`. */
export type Responder = (connection: FakeConnection, message: Parts) => void;

export interface FakeServer extends AsyncDisposable {
  readonly url: string;
  /** The next connection that was not accepted yet. */
  accept(): Promise<FakeConnection>;
  /** The next connection, its op 1 answered; `result` is added to the usual one. */
  welcome(result?: object): Promise<FakeConnection>;
  /** Refuses connections (HTTP 503) from now on, or no longer. */
  refuse(refusing: boolean): void;
}

export function startFakeServer(responder?: Responder): FakeServer {
  const waiting = new Line<FakeConnection>();
  let refusing = false;
  const server = Bun.serve<{ connection: FakeConnection | null }>({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch(request, self) {
      if (refusing) return new Response(null, { status: 503 });
      const headers = { "Sec-WebSocket-Protocol": request.headers.get("Sec-WebSocket-Protocol") ?? "" };
      return self.upgrade(request, { headers, data: { connection: null } })
        ? undefined
        : new Response(null, { status: 400 });
    },
    websocket: {
      open(socket) {
        socket.data.connection = new FakeConnection(socket, responder);
        waiting.put(socket.data.connection);
      },
      message: (socket, frame) => socket.data.connection?.receive(frame),
      close: (socket, code) => socket.data.connection?.ended(code),
    },
  });
  return {
    url: `ws://127.0.0.1:${server.port}/ws`,
    accept: () => waiting.take(),
    async welcome(result = {}) {
      const connection = await waiting.take();
      const message = await connection.next(op.connect);
      connection.send([op.ok, message[1], { ...connectResult, ...result }]);
      return connection;
    },
    refuse: (value) => void (refusing = value),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** The server's end of one connection. */
export class FakeConnection {
  /** Options of op 1, once it was read by `next`. */
  options: Record<string, unknown> = {};
  /** Frames received, by the number of messages in each. */
  readonly frames: number[] = [];
  readonly closed: Promise<number>;
  readonly #socket: Bun.ServerWebSocket<unknown>;
  readonly #responder: Responder | undefined;
  readonly #inbox = new Line<Parts>();
  readonly #end = Promise.withResolvers<number>();

  constructor(socket: Bun.ServerWebSocket<unknown>, responder: Responder | undefined) {
    this.#socket = socket;
    this.#responder = responder;
    this.closed = this.#end.promise;
  }

  /** The next message of the client, which must be of `code`. */
  async next(code: number): Promise<Parts> {
    const message = await this.#inbox.take();
    if (message[0] !== code) throw new Error(`Expected op ${code}, got ${JSON.stringify(message)}`);
    if (code === op.connect) this.options = message[2] as Record<string, unknown>;
    return message;
  }

  /** Reads a message of `code` and answers it with op 16. */
  async answer(code: number, result: object = {}): Promise<Parts> {
    const message = await this.next(code);
    this.send([op.ok, message[1], result]);
    return message;
  }

  /** Reads a message of `code` and answers it with op 17. */
  async refuse(code: number, error: number): Promise<Parts> {
    const message = await this.next(code);
    this.send([op.error, message[1], error, `error ${error}`]);
    return message;
  }

  /** Sends messages in one frame. */
  send(...messages: readonly Parts[]): void {
    this.#socket.send(Buffer.concat(messages.map((message) => encode(message))));
  }

  sendBytes(frame: Uint8Array): void {
    this.#socket.send(frame);
  }

  /** Cuts the connection without a close frame. */
  cut(): void {
    this.#socket.terminate();
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  receive(frame: string | Uint8Array): void {
    if (typeof frame === "string") throw new Error("A text frame came");
    const messages = [...decodeMulti(frame)] as Parts[];
    this.frames.push(messages.length);
    for (const message of messages) {
      this.#inbox.put(message);
      this.#responder?.(this, message);
    }
  }

  ended(code: number): void {
    this.#end.resolve(code);
  }
}

/** Values in the order they came, awaited or not. */
class Line<T> {
  readonly #values: T[] = [];
  readonly #takers: ((value: T) => void)[] = [];

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker) taker(value);
    else this.#values.push(value);
  }

  take(): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    if (this.#values.length > 0) resolve(this.#values.shift());
    else this.#takers.push(resolve);
    return promise;
  }
}
