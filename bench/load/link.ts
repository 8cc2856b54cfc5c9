/** A TCP connection of the driver: writes are gathered per turn, and what the kernel does not take is kept. */
import type { Socket } from "bun";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import type { Outlet } from "./protocol.ts";
import type { Flushable, Turn } from "./turn.ts";

/** Who stands behind a link. */
export interface LinkTarget {
  /** The peer can be talked to. */
  opened(outlet: Outlet): void;
  /** One WebSocket message, or a chunk of a TCP stream; valid during the call. */
  received(bytes: Uint8Array, start: number, end: number): void;
  /** Once, also where it was never open. */
  closed(reason: string): void;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A storage that grew beyond this is let go once it is empty. */
const keptBytesMax = 2 ** 22;
/** How long a peer may take to end a connection that was left. */
const leaveMs = 5000;

export abstract class Link implements Flushable {
  protected readonly target: LinkTarget;
  protected readonly out = new ByteWriter();
  readonly #turn: Turn;
  #socket: Socket<Link> | null = null;
  #sent = 0;
  #waiting = false;
  #closed = false;
  #leaving: ReturnType<typeof setTimeout> | null = null;

  constructor(target: LinkTarget, turn: Turn) {
    this.target = target;
    this.#turn = turn;
  }

  connect(address: Address): void {
    const { host: hostname, port } = address;
    Bun.connect({ hostname, port, data: this, socket: handlers }).catch((error: unknown) => this.ended(String(error)));
  }

  /** The peer's end is told, and ends the connection. */
  leave(): void {
    if (this.#closed) return;
    this.sayGoodbye();
    this.flush();
    this.#leaving = setTimeout(() => this.cut(), leaveMs);
  }

  cut(): void {
    this.#socket?.terminate();
  }

  read(reading: boolean): void {
    if (reading) this.#socket?.resume();
    else this.#socket?.pause();
  }

  /** For subclasses: something was added to `out`. */
  protected written(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#turn.flushLater(this);
  }

  flush(): void {
    this.#waiting = false;
    const { out } = this;
    const left = out.length - this.#sent;
    if (left === 0 || this.#socket === null) return;
    const taken = this.#socket.write(out.bytes, this.#sent, left);
    if (taken > 0) {
      this.#turn.bytesOut += taken;
      this.#sent += taken;
    }
    if (this.#sent < out.length) return;
    this.#sent = 0;
    out.reset();
    if (out.bytes.length > keptBytesMax) out.bytes = Buffer.allocUnsafeSlow(1024);
  }

  /** The socket is there; `open` of Bun. */
  started(socket: Socket<Link>): void {
    this.#socket = socket;
    this.begin();
    this.flush();
  }

  chunk(bytes: Uint8Array): void {
    this.take(bytes);
    this.#turn.arrived(bytes.length);
  }

  ended(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket = null;
    if (this.#leaving !== null) clearTimeout(this.#leaving);
    this.target.closed(reason);
  }

  /** For subclasses: why it goes wrong; ends the connection. */
  protected fail(reason: string): void {
    const socket = this.#socket;
    this.ended(reason);
    socket?.terminate();
  }

  protected endSocket(): void {
    this.flush();
    this.#socket?.end();
  }

  protected abstract begin(): void;
  protected abstract take(bytes: Uint8Array): void;
  protected abstract sayGoodbye(): void;
}

const handlers = {
  open: (socket: Socket<Link>) => socket.data.started(socket),
  data: (socket: Socket<Link>, chunk: Buffer) => socket.data.chunk(chunk),
  drain: (socket: Socket<Link>) => socket.data.flush(),
  close: (socket: Socket<Link>, error?: Error) => socket.data.ended(error?.message ?? "The peer ended the connection"),
  error: (socket: Socket<Link>, error: Error) => socket.data.ended(error.message),
  connectError: (socket: Socket<Link>, error: Error) => socket.data.ended(error.message),
};
