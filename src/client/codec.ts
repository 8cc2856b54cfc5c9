/** Messages to bytes and frames to messages. What it decodes is checked no further: see `inbound.ts`. */
import { Encoder } from "@msgpack/msgpack";
import { op, Raw } from "../wire/messages.ts";
import { Reader } from "./reader.ts";

const encoder = new Encoder({ ignoreUndefined: true });

/** Any message but a publish. */
export function encodeMessage(...elements: readonly unknown[]): Uint8Array<ArrayBuffer> {
  return encoder.encode(elements);
}

/** A publish without what changes when it is sent again: the elements after its ref. */
export interface PublishBody {
  /** Tag and payload, and options where there are any. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly count: 2 | 3;
  readonly payloadBytes: number;
}

/** The payload's MessagePack; `Raw` is taken as it is. @throws Error where it holds something that MessagePack has no form for */
export function encodePayload(payload: unknown): Uint8Array {
  return payload instanceof Raw ? payload.bytes : encoder.encode(payload);
}

/** `payload`: finished MessagePack. Options that are undefined are left out. */
export function encodePublishBody(tag: string | readonly string[], payload: Uint8Array, options: object): PublishBody {
  const parts = [encoder.encode(tag), payload];
  if (Object.values(options).some((value) => value !== undefined)) parts.push(encoder.encode(options));
  return { bytes: concat(parts), count: parts.length === 2 ? 2 : 3, payloadBytes: payload.length };
}

export function encodePublish(ref: number, body: PublishBody): Uint8Array<ArrayBuffer> {
  const head = encoder.encode(ref);
  return concat([Uint8Array.of(0x92 + body.count, op.publish), head, body.bytes]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * The messages of one frame, appended to `messages`. With `raw` payloads are left as MessagePack bytes. False where the
 * frame is not well-formed: what came before that is in `messages`.
 */
export function decodeFrame(frame: Uint8Array, raw: boolean, messages: unknown[]): boolean {
  const reader = new Reader(frame);
  try {
    while (!reader.done) messages.push(raw ? readRaw(reader) : reader.value());
    return true;
  } catch {
    return false;
  }
}

/** A message without decoding the payloads in it: of op 18, and of the entries of a history. */
function readRaw(reader: Reader): unknown[] {
  let code: unknown;
  const entry = (index: number) => (index === 1 ? reader.raw() : reader.value());
  const entries = () => reader.list(() => reader.list(entry));
  return reader.list((index) => {
    if (index === 0) return (code = reader.value());
    if (code === op.message && index === 3) return reader.raw();
    if (code === op.ok && index === 2) return reader.fields((key) => (key === "messages" ? entries() : reader.value()));
    return reader.value();
  });
}
