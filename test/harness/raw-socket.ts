/**
 * A peer that speaks WebSocket by hand over TCP, and so can do what no library does: stay mute, answer no ping, read
 * nothing, send half a frame, and keep its side of a closed connection.
 */
import type { Socket } from "bun";
import { Conditions, deadlineMs, within } from "./deadline.ts";

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface RawFrame {
  readonly opcode: number;
  readonly fin: boolean;
  /** RSV1: the payload is deflated (RFC 7692). */
  readonly compressed: boolean;
  readonly payload: Buffer;
}

export interface RawOptions {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** False: nothing is read once the upgrade is answered. */
  readonly reads?: boolean;
  /** Whether pings are answered; default false. */
  readonly answersPings?: boolean;
}

export interface FrameParts {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  /** Default true. */
  readonly fin?: boolean;
  /** Default true, as clients must. */
  readonly masked?: boolean;
}

/** One frame as a client sends it. */
export function frameBytes({ opcode, payload = "", fin = true, masked = true }: FrameParts): Buffer {
  const body = Buffer.from(payload as Uint8Array);
  const head = [(fin ? 0x80 : 0) | opcode];
  const bit = masked ? 0x80 : 0;
  if (body.length < 126) head.push(bit | body.length);
  else if (body.length < 0x1_0000) head.push(bit | 126, body.length >> 8, body.length & 0xff);
  else head.push(bit | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (body.length >>> shift) & 0xff));
  if (!masked) return Buffer.concat([Buffer.from(head), body]);
  const mask = [0x12, 0x34, 0x56, 0x78];
  return Buffer.concat([
    Buffer.from([...head, ...mask]),
    Buffer.from(body.map((byte, i) => byte ^ (mask[i & 3] ?? 0))),
  ]);
}

/** Text of an upgrade request. */
export function upgradeRequest(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = {
    Host: "localhost",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

export class RawSocket implements AsyncDisposable {
  /** The head of the answer to the upgrade, and what followed it if it was refused. */
  response = "";
  readonly frames: RawFrame[] = [];
  /** Bytes that came after the upgrade. */
  bytes = 0;
  /** The server closed its side. */
  ended = false;
  closed = false;
  readonly #conditions = new Conditions();
  readonly #options: RawOptions;
  #socket: Socket | null = null;
  #rest = Buffer.alloc(0);
  #upgraded = false;
  #taken = 0;
  /** What the kernel did not take yet. */
  #unsent: Buffer[] = [];

  constructor(options: RawOptions) {
    this.#options = options;
  }

  /** Connects to `host:port` without sending anything. */
  static async connect(url: string, options: RawOptions = {}): Promise<RawSocket> {
    const { hostname, port } = new URL(url);
    const raw = new RawSocket(options);
    const opened = Bun.connect({
      hostname,
      port: Number(port),
      allowHalfOpen: true,
      socket: {
        data: (_, bytes) => raw.#take(bytes),
        drain: () => raw.#flush(),
        end: () => raw.#mark("ended"),
        close: () => raw.#mark("closed"),
        error: () => raw.#mark("closed"),
      },
    });
    raw.#socket = await within(opened, `a connection to ${url}`);
    return raw;
  }

  /** Connects and upgrades; fails where the upgrade is refused. */
  static async open(url: string, options: RawOptions = {}): Promise<RawSocket> {
    const raw = await RawSocket.connect(url, options);
    raw.send(upgradeRequest(options.path ?? "/ws", options.headers));
    await raw.until(() => raw.response.includes("\r\n\r\n"), "the answer to the upgrade");
    if (!raw.response.startsWith("HTTP/1.1 101")) throw new Error(`Not upgraded: ${raw.response}`);
    return raw;
  }

  /** Bytes as they are. */
  send(bytes: Uint8Array | string): void {
    this.#unsent.push(Buffer.from(bytes as Uint8Array));
    if (this.#unsent.length === 1) this.#flush();
  }

  sendFrame(parts: FrameParts): void {
    this.send(frameBytes(parts));
  }

  /** Whether everything sent was taken by the kernel. */
  get allSent(): boolean {
    return this.#unsent.length === 0;
  }

  read(on: boolean): void {
    if (on) this.#socket?.resume();
    else this.#socket?.pause();
  }

  /** Takes the next frame, of one opcode if named; waits for it. */
  next(wanted?: number, ms: number = deadlineMs): Promise<RawFrame> {
    const look = () => {
      while (this.#taken < this.frames.length) {
        const frame = this.frames[this.#taken++];
        if (frame !== undefined && (wanted === undefined || frame.opcode === wanted)) return frame;
      }
      return undefined;
    };
    return this.#conditions.until(look, () => `a frame ${wanted ?? ""}; ${this.frames.length} came`, ms);
  }

  async until(holds: () => boolean, what: string, ms: number = deadlineMs): Promise<void> {
    await this.#conditions.until(() => holds() || undefined, what, ms);
  }

  /** Closes our side. */
  end(): void {
    this.#socket?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.terminate();
    await Promise.resolve();
  }

  #take(bytes: Buffer): void {
    if (!this.#upgraded) this.#takeResponse(bytes);
    else this.#takeFrames(bytes);
    this.#conditions.check();
  }

  #takeResponse(bytes: Buffer): void {
    this.response += bytes.toString("latin1");
    const end = this.response.indexOf("\r\n\r\n");
    if (end < 0 || !this.response.startsWith("HTTP/1.1 101")) return;
    this.#upgraded = true;
    const rest = Buffer.from(this.response.slice(end + 4), "latin1");
    this.response = this.response.slice(0, end + 4);
    if (this.#options.reads === false) this.read(false);
    if (rest.length > 0) this.#takeFrames(rest);
  }

  #takeFrames(bytes: Buffer): void {
    this.bytes += bytes.length;
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const frame = this.#parse();
      if (frame === null) return;
      this.frames.push(frame);
      if (frame.opcode === opcode.ping && this.#options.answersPings) {
        this.sendFrame({ opcode: opcode.pong, payload: frame.payload });
      }
    }
  }

  #parse(): RawFrame | null {
    const { length } = this.#rest;
    if (length < 2) return null;
    const [first = 0, second = 0] = this.#rest;
    const start = second < 126 ? 2 : second === 126 ? 4 : 10;
    if (length < start) return null;
    const size =
      second < 126 ? second : second === 126 ? this.#rest.readUInt16BE(2) : Number(this.#rest.readBigUInt64BE(2));
    if (length < start + size) return null;
    const payload = Buffer.from(this.#rest.subarray(start, start + size));
    this.#rest = this.#rest.subarray(start + size);
    return { opcode: first & 15, fin: first >= 0x80, compressed: (first & 0x40) !== 0, payload };
  }

  #flush(): void {
    for (let head = this.#unsent[0]; head !== undefined; head = this.#unsent[0]) {
      const taken = this.#socket?.write(head) ?? 0;
      if (taken < head.length) {
        this.#unsent[0] = head.subarray(Math.max(0, taken));
        return;
      }
      this.#unsent.shift();
    }
    this.#conditions.check();
  }

  #mark(what: "ended" | "closed"): void {
    this[what] = true;
    this.#conditions.check();
  }
}
