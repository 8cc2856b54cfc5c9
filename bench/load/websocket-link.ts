/** The client's side of a WebSocket (RFC 6455), as cheap as it can be: handshake, frames, ping, close, and messages inflated. */
import { constants, inflateRawSync } from "node:zlib";
import { FrameSplitter, frameOp, writeFrameHeader, type FrameSink } from "./frame-splitter.ts";
import { Link, type Address, type LinkTarget } from "./link.ts";
import type { Outlet, ProtocolKind } from "./protocol.ts";
import type { Turn } from "./turn.ts";

/** The key and answer that RFC 6455 has for an example: nothing here depends on a new one for each connection. */
const key = "dGhlIHNhbXBsZSBub25jZQ==";
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const headBytesMax = 16_384;
/** What a sender leaves out behind each message (RFC 7692, 7.2.1). */
const deflateTail = Buffer.of(0x00, 0x00, 0xff, 0xff);

/** The request of a handshake; made once for all connections of a kind. */
export function upgradeRequest(kind: ProtocolKind, address: Address, compression: boolean): string {
  const lines = [
    `GET ${kind.path ?? "/"} HTTP/1.1`,
    `Host: ${address.host}:${address.port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${key}`,
  ];
  if (kind.subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${kind.subprotocol}`);
  // Without context takeover: each message is inflated by itself, and no peer keeps a window per connection.
  if (compression) {
    lines.push("Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover");
  }
  for (const [name, value] of Object.entries(kind.headers ?? {})) lines.push(`${name}: ${value}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

export class WebSocketLink extends Link implements Outlet, FrameSink {
  readonly #request: string;
  readonly #frames = new FrameSplitter(this);
  /** Of the answer to the handshake, until it is whole. */
  #head = "";
  #open = false;
  #closing = false;

  constructor(target: LinkTarget, turn: Turn, request: string) {
    super(target, turn);
    this.#request = request;
  }

  binary(bytes: Uint8Array, end = bytes.length): void {
    writeFrameHeader(this.out, frameOp.binary, end);
    this.out.append(bytes, 0, end);
    this.written();
  }

  text(text: string | Uint8Array, end?: number): void {
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    const length = end ?? bytes.length;
    writeFrameHeader(this.out, frameOp.text, length);
    this.out.append(bytes, 0, length);
    this.written();
  }

  message(bytes: Uint8Array, start: number, end: number, compressed: boolean): void {
    if (!compressed) return this.target.received(bytes, start, end);
    const whole = inflateRawSync(Buffer.concat([bytes.subarray(start, end), deflateTail]), {
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    this.target.received(whole, 0, whole.length);
  }

  control(op: number, bytes: Uint8Array, start: number, end: number): void {
    if (op === frameOp.ping) this.#send(frameOp.pong, bytes.subarray(start, end));
    if (op !== frameOp.close) return;
    if (!this.#closing) {
      const code = end - start >= 2 ? ((bytes[start] as number) << 8) | (bytes[start + 1] as number) : 1005;
      this.sayGoodbye();
      const text = Buffer.from(bytes.subarray(start + 2, end)).toString();
      this.flush();
      this.ended(`The peer closed with ${code} ${text}`.trimEnd());
    }
    this.endSocket();
  }

  broken(reason: string): void {
    this.fail(reason);
  }

  protected begin(): void {
    this.out.utf8(this.#request);
  }

  protected take(bytes: Uint8Array): void {
    if (this.#open) this.#frames.push(bytes);
    else this.#shake(bytes);
  }

  protected sayGoodbye(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#send(frameOp.close, Uint8Array.of(0x03, 0xe8));
  }

  #shake(bytes: Uint8Array): void {
    const before = this.#head.length;
    this.#head += Buffer.prototype.latin1Slice.call(bytes);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#head.length > headBytesMax) this.fail("The answer to the handshake does not end");
      return;
    }
    const head = this.#head.slice(0, end);
    this.#head = "";
    if (!head.startsWith("HTTP/1.1 101 ") || !head.includes(accept)) {
      this.fail(`The handshake was refused: ${head.slice(0, head.indexOf("\r\n"))}`);
      return;
    }
    this.#open = true;
    this.target.opened(this);
    if (before + bytes.length > end + 4) this.#frames.push(bytes, end + 4 - before);
  }

  #send(op: number, payload: Uint8Array): void {
    writeFrameHeader(this.out, op, payload.length);
    this.out.append(payload);
    this.written();
  }
}
