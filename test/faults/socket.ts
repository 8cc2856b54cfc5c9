/** A connection of the wire made of the standard WebSocket and a MessagePack library alone, that keeps nothing. */
import { decodeMulti, encode } from "@msgpack/msgpack";

export type WireMessage = readonly unknown[];
export type Lane = "msgpack" | "json";

export interface SocketEvents {
  readonly opened: () => void;
  readonly message: (message: WireMessage) => void;
  readonly closed: (code: number) => void;
}

/** Time for a connection to be made: an instance that hangs accepts and does not answer. */
const openMs = 3000;

export class WireSocket {
  readonly lane: Lane;
  /** When something came last. */
  heardMs = performance.now();
  isOpen = false;
  readonly #socket: WebSocket;
  readonly #events: SocketEvents;
  #ended = false;

  constructor(url: string, { token, lane = "msgpack" }: { token: string; lane?: Lane }, events: SocketEvents) {
    this.lane = lane;
    this.#events = events;
    const socket = new WebSocket(url, {
      protocols: [`tagcast.v1.${lane}`],
      headers: { Authorization: `Bearer ${token}` },
    });
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const late = setTimeout(() => this.terminate(), openMs);
    socket.addEventListener("open", () => {
      clearTimeout(late);
      if (this.#ended) return;
      this.isOpen = true;
      this.heardMs = performance.now();
      events.opened();
    });
    socket.addEventListener("message", ({ data }) => this.#take(data as string | ArrayBuffer));
    socket.addEventListener("close", ({ code }) => {
      clearTimeout(late);
      this.#end(code);
    });
    socket.addEventListener("error", () => this.#end(1006));
  }

  /** In one frame. */
  send(...messages: readonly WireMessage[]): void {
    if (!this.isOpen) return;
    if (this.lane === "json") this.#socket.send(messages.map((message) => JSON.stringify(message)).join("\n"));
    else this.#socket.send(Buffer.concat(messages.map((message) => encode(message))));
  }

  /** Ends it without waiting for the other side. */
  terminate(): void {
    this.#end(1006);
    this.#socket.terminate();
  }

  #take(data: string | ArrayBuffer): void {
    if (this.#ended) return;
    this.heardMs = performance.now();
    if (typeof data === "string") {
      for (const line of data.split("\n")) if (line !== "") this.#events.message(JSON.parse(line) as WireMessage);
      return;
    }
    for (const message of decodeMulti(new Uint8Array(data))) {
      if (this.#ended) return;
      this.#events.message(message as WireMessage);
    }
  }

  #end(code: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.isOpen = false;
    this.#events.closed(code);
  }
}
