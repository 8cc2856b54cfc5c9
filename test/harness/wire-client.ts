/**
 * A client of the wire made of the standard WebSocket and a MessagePack library alone, so that what it sees owes nothing
 * to the server's own code. It keeps every message in order of arrival, answers by ref, and waits with a deadline.
 */
import { decodeMulti, encode } from "@msgpack/msgpack";
import { op } from "../../src/wire/messages.ts";
import { Conditions, deadlineMs, within } from "./deadline.ts";

/** One message as it came: `[op, …]`. On the JSON lane payloads stay in their JSON form. */
export type WireMessage = readonly unknown[];
export type WireLane = "msgpack" | "json";

export interface WireOptions {
  readonly lane?: WireLane;
  /** Sends op 1 with it and waits for the answer; absent: nothing is sent. */
  readonly token?: string;
  /** Further options of that op 1. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Authorities to trust, and what to present. */
  readonly tls?: Bun.TLSOptions;
  /** What is offered; default the subprotocol of the lane. */
  readonly protocols?: readonly string[];
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
  /** The last message, if it is op 22. */
  readonly farewell: WireMessage | null;
}

/** Op 17 in answer to a request that was to succeed. */
export class Refused extends Error {
  readonly code: number;
  constructor(code: number, text: string) {
    super(`${code} ${text}`);
    this.code = code;
  }
}

export class WireClient implements AsyncDisposable {
  readonly socket: WebSocket;
  readonly lane: WireLane;
  /** Everything that came, in order. */
  readonly received: WireMessage[] = [];
  /** Sizes of the frames it came in. */
  readonly frameSizes: number[] = [];
  readonly closed: Promise<Closed>;
  /** The result of op 1, where `open` sent it. */
  welcome: Readonly<Record<string, unknown>> = {};
  readonly #conditions = new Conditions();
  readonly #taken = new Set<WireMessage>();
  #ref = 0;

  constructor(url: string, { lane = "msgpack", headers, tls, protocols = [`tagcast.v1.${lane}`] }: WireOptions = {}) {
    this.lane = lane;
    this.socket = new WebSocket(url, {
      protocols: [...protocols],
      ...(headers && { headers: { ...headers } }),
      ...(tls && { tls }),
    });
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }) => this.#take(data as string | ArrayBuffer));
    const { promise, resolve } = Promise.withResolvers<Closed>();
    this.closed = promise;
    this.socket.addEventListener("close", ({ code, reason }) => {
      const last = this.received.at(-1);
      resolve({ code, reason, farewell: last?.[0] === op.disconnect ? last : null });
      this.#conditions.check();
    });
  }

  static async open(url: string, options: WireOptions = {}): Promise<WireClient> {
    const client = new WireClient(url, options);
    const opened = new Promise<void>((resolve, reject) => {
      client.socket.addEventListener("open", () => resolve());
      client.socket.addEventListener("error", () => reject(new Error(`No connection to ${url}`)));
    });
    await within(opened, `a connection to ${url}`);
    if (options.token !== undefined) {
      client.welcome = await client.ok(op.connect, { token: options.token, ...options.options });
    }
    return client;
  }

  /** Sends messages in one frame. */
  send(...messages: readonly WireMessage[]): void {
    if (this.lane === "json") this.socket.send(messages.map((message) => JSON.stringify(message)).join("\n"));
    else this.socket.send(Buffer.concat(messages.map((message) => encode(message))));
  }

  sendFrame(frame: Uint8Array<ArrayBuffer> | string): void {
    this.socket.send(frame);
  }

  /** A ref that no request of this client had. */
  nextRef(): number {
    return ++this.#ref;
  }

  /** Sends `[op, ref, …fields]` with a ref of its own; op 16 or 17 in answer to it. */
  request(operation: number, ...fields: readonly unknown[]): Promise<WireMessage> {
    const ref = this.nextRef();
    this.send([operation, ref, ...fields]);
    return this.answer(ref);
  }

  /** The answer to `ref`. */
  answer(ref: number): Promise<WireMessage> {
    return this.next(undefined, (message) => (message[0] === op.ok || message[0] === op.error) && message[1] === ref);
  }

  /** The result of a request that succeeds. @throws Refused */
  async ok(operation: number, ...fields: readonly unknown[]): Promise<Readonly<Record<string, unknown>>> {
    const [kind, , result, text] = await this.request(operation, ...fields);
    if (kind === op.error) throw new Refused(result as number, String(text));
    return result as Readonly<Record<string, unknown>>;
  }

  /** The code of a request that fails. */
  async refused(operation: number, ...fields: readonly unknown[]): Promise<number> {
    const answer = await this.request(operation, ...fields);
    if (answer[0] !== op.error) throw new Error(`Was not refused: ${JSON.stringify(answer)}`);
    return answer[2] as number;
  }

  /** Takes the first message that was not taken yet, of one op or that `fits`, if named; waits for it. */
  next(
    operation?: number,
    fits: (message: WireMessage) => boolean = () => true,
    ms: number = deadlineMs,
  ): Promise<WireMessage> {
    const look = () => {
      const found = this.received.find(
        (message) =>
          !this.#taken.has(message) && (operation === undefined || message[0] === operation) && fits(message),
      );
      if (found !== undefined) this.#taken.add(found);
      return found;
    };
    return this.#conditions.until(look, () => `op ${operation ?? "any"}; ${this.#told()}`, ms);
  }

  /** Waits until `count` op 18 (of one tag, if named) have come; all that came. */
  async messages(count: number, tag?: string, ms: number = deadlineMs): Promise<readonly WireMessage[]> {
    const all = () =>
      this.received.filter((message) => message[0] === op.message && (tag ?? message[1]) === message[1]);
    await this.until(() => all().length >= count, `${count} messages of ${tag ?? "any tag"}`, ms);
    return all();
  }

  /** The payloads of those messages. */
  async payloads(count: number, tag?: string, ms: number = deadlineMs): Promise<readonly unknown[]> {
    return (await this.messages(count, tag, ms)).map((message) => message[3]);
  }

  /** Waits until `holds`, looking again after each message. */
  async until(holds: () => boolean, what: string, ms: number = deadlineMs): Promise<void> {
    await this.#conditions.until(
      () => holds() || undefined,
      () => `${what}; ${this.#told()}`,
      ms,
    );
  }

  /** What was received of one op. */
  all(operation: number): readonly WireMessage[] {
    return this.received.filter((message) => message[0] === operation);
  }

  /** How the connection ended; waits for it. */
  ended(ms: number = deadlineMs): Promise<Closed> {
    return within(this.closed, () => `the end of the connection; ${this.#told()}`, ms);
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.readyState !== WebSocket.CLOSED) this.socket.terminate();
    await this.closed;
  }

  #take(data: string | ArrayBuffer): void {
    const messages =
      typeof data === "string"
        ? data.split("\n").map((line) => JSON.parse(line) as WireMessage)
        : ([...decodeMulti(new Uint8Array(data))] as WireMessage[]);
    this.frameSizes.push(typeof data === "string" ? Buffer.byteLength(data) : data.byteLength);
    for (const message of messages) this.received.push(message);
    this.#conditions.check();
  }

  #told(): string {
    const last = this.received.slice(-5).map((message) => JSON.stringify(message)?.slice(0, 200));
    return `${this.received.length} came, the last: ${last.join(" ")}`;
  }
}
