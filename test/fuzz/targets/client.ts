/**
 * Frames from a server that may send anything, to the SDK: nothing it receives may throw out of it, and what every
 * decoder takes is decoded. Input: frames, each behind its length as two bytes.
 */
import { encode, ExtData } from "@msgpack/msgpack";
import { type Client, connect } from "../../../src/client/client.ts";
import { decodeFrame } from "../../../src/client/codec.ts";
import type { WebSocketLike } from "../../../src/client/types.ts";
import { FakeClock } from "../../harness/clock.ts";
import { loadVectors } from "../../vectors/load.ts";
import type { Target } from "../engine.ts";
import { scale } from "../place.ts";
import { isWhole } from "../reference.ts";

const framesMax = 8;
const welcome = {
  version: 1,
  session: "s1",
  server: "tagcast/test",
  client: "c1",
  ping: 25,
  reply: `$reply/${"0".repeat(32)}`,
  payloadMax: 1024,
};

export const clientTarget: Target = {
  name: "client",
  bytesMax: 2000,
  words: [
    encode([16, 1, welcome]),
    encode([16, 2, { position: [7, 3], recovered: true }]),
    encode([16, 3, { positions: { "w/a": [7, 3] }, lost: ["w/a"], unseen: [["w/b", 8, 1]], more: true }]),
    encode([18, "t", 4, "payload"]),
    encode([18, "w/a", 4, "payload", null, "w/#", 7]),
    encode([19, "t", 2, null, null, 5]),
    encode([20, "t", 1, 9, { code: 202, epoch: 8 }]),
    encode([21, "t", 2500, "x"]),
    encode([22, 3000, "x", 1]),
    ...["position", "messages", "members", "__proto__", "constructor", "version"].map((text) => encode(text)),
    Buffer.concat([Uint8Array.of(0x81), encode("__proto__"), encode({})]),
  ],
  async seeds() {
    const server = [...(await loadVectors("server")), ...(await loadVectors("codes"))];
    const messages = server.map(({ msgpack }) => msgpack).filter(({ length }) => length < 300);
    const first = framed(encode([16, 1, welcome]));
    const answers = framed(
      Buffer.concat([encode([16, 2, { position: [7, 3] }]), encode([16, 3, { unseen: [["w/a", 7, 3]] }])]),
    );
    return messages.map((message) => Buffer.concat([first, answers, framed(message)]));
  },
  open: () => ({ run }),
};

function framed(message: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(message.length >> 8, message.length & 0xff), message]);
}

function framesOf(input: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 2 <= input.length && frames.length < framesMax;) {
    const length = ((input[at] as number) << 8) | (input[at + 1] as number);
    frames.push(input.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return frames;
}

/** What the SDK takes for a socket; the server's end of it is this file. */
class FakeSocket implements WebSocketLike {
  static last: FakeSocket | null = null;
  binaryType = "";
  readyState = 1;
  bufferedAmount = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  sent = 0;

  constructor() {
    FakeSocket.last = this;
  }

  send(): void {
    this.sent++;
  }

  close(): void {
    this.readyState = 3;
  }
}

async function run(input: Uint8Array): Promise<string> {
  const clock = new FakeClock();
  const client = connect("ws://127.0.0.1:1/ws", { webSocket: FakeSocket, timers: clock, random: () => 0, token: "t" });
  const signs: string[] = [];
  listen(client, signs);
  for (const frame of framesOf(input)) {
    await settle();
    FakeSocket.last?.onopen?.({} as never);
    signs.push(checkDecoding(frame));
    const data = Uint8Array.from(frame).buffer;
    FakeSocket.last?.onmessage?.({ data } as never);
  }
  await settle();
  signs.push(client.state, `${scale(FakeSocket.last?.sent ?? 0)}`);
  client.close();
  await settle();
  return [...new Set(signs)].join(" ");
}

function listen(client: Client, signs: string[]): void {
  client.on("error", ({ code, kind }) => signs.push(`error ${kind} ${code}`));
  client.on("gap", ({ reason, code }) => signs.push(`gap ${reason} ${code}`));
  for (const pattern of ["t", "w/#"]) {
    const subscription = client.subscribe(pattern, {}, ({ tag, offset }) => {
      if (typeof tag !== "string") throw new Error(`A message of ${String(tag)}`);
      signs.push(`message ${offset === null}`);
    });
    void subscription.ended.then((error) => signs.push(`ended ${error?.code}`));
  }
}

/** Promises that wait for nothing but each other. */
async function settle(): Promise<void> {
  for (let i = 0; i < 8; i++) await Promise.resolve();
}

/** A frame of whole values is decoded, whatever is in it, and no other is. */
function checkDecoding(frame: Uint8Array): string {
  const messages: unknown[] = [];
  const whole = decodeFrame(frame, false, messages);
  if (whole !== isWhole(frame)) throw new Error(`Decoded: ${whole}: ${Buffer.from(frame).toString("hex")}`);
  for (const message of messages) checkPrototypes(message);
  const raw: unknown[] = [];
  const rawWhole = decodeFrame(frame, true, raw);
  return `${whole}${rawWhole}${scale(messages.length)}`;
}

/** No key of a map is taken for the prototype. */
function checkPrototypes(value: unknown): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  const prototype: unknown = Object.getPrototypeOf(value);
  const known = [Object.prototype, Array.prototype, Map.prototype, Date.prototype, ExtData.prototype];
  if (!known.includes(prototype as object)) throw new Error("A value has a prototype from the wire");
  for (const item of value instanceof Map ? [...value].flat() : Object.values(value)) checkPrototypes(item);
}
