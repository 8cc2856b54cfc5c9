/** Client messages, from either reader, written again in both forms: what was accepted must mean the same through the other. */
import { encode } from "@msgpack/msgpack";
import { ProtocolError } from "../../../src/core/errors.ts";
import type { Position } from "../../../src/core/position.ts";
import { payloadToJson } from "../../../src/wire/json-payload.ts";
import { type ClientMessage, type ClientMessageReader, op, type PublishOptions } from "../../../src/wire/messages.ts";
import { placeOf, scale } from "../place.ts";
import { canonical, skeleton } from "../reference.ts";

export const limits = { payloadMaxBytes: 1024 * 1024, depthMax: 64 } as const;
/** Beyond it only the form that it came in can carry an `info`: widths are not kept. */
const infoBytesMax = 256;

/** A message as values that owe nothing to its frame, with the bytes of payload and info. */
export interface Read {
  readonly message: Readonly<Record<string, unknown>>;
  readonly payload: Uint8Array | null;
  readonly info: Uint8Array | null;
}

/** What a frame came to: the messages, and a signature. */
export interface FrameOutcome {
  readonly reads: readonly Read[];
  readonly signature: string;
}

/** Reads as a session does. @throws where the reader breaks its promises */
export function readFrame(reader: ClientMessageReader, frame: Uint8Array | string): FrameOutcome {
  const reads: Read[] = [];
  const signs: string[] = [];
  reader.load(frame);
  for (let count = 0; count <= frame.length + 1; count++) {
    try {
      const message = reader.next();
      if (message === null) return { reads, signature: signs.slice(0, 4).join(" ") };
      const read = take(message);
      reads.push(read);
      signs.push(signOf(read));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      signs.push(`${error.code.code}@${placeOf(error)}`);
      if (reader.recoverable) continue;
      if (reader.next() !== null) throw new Error("Reads on behind what cannot be recovered from", { cause: error });
      return { reads, signature: signs.slice(0, 4).join(" ") };
    }
  }
  throw new Error("The frame has no end");
}

function take(message: ClientMessage): Read {
  if (message.op === op.publish) {
    const { frame, tagStart, tagEnd, alias, payloadStart, payloadEnd, tags, options, ref } = message;
    const ordered = tagStart <= tagEnd && tagEnd <= payloadStart && payloadStart < payloadEnd;
    if (!ordered || payloadEnd > frame.length || tagEnd - tagStart > 255) throw new Error("Extents beyond the frame");
    const name = alias < 0 ? Buffer.from(frame.subarray(tagStart, tagEnd)).toString("latin1") : alias;
    const tag = tags === null ? name : [...tags];
    return {
      message: { op: op.publish, ref, tag, options: optionsOf(options) },
      payload: frame.slice(payloadStart, payloadEnd),
      info: null,
    };
  }
  if (message.op !== op.subscribe) return { message: { ...message }, payload: null, info: null };
  return { message: { ...message, info: null }, payload: null, info: message.info };
}

function optionsOf(options: PublishOptions | null): unknown {
  return { id: options?.id ?? null, echo: options?.echo ?? null, reply: options?.reply ?? null };
}

function signOf({ message, payload, info }: Read): string {
  const fields = Object.entries(message).map(([name, value]) => `${name}${value === null ? "-" : typeof value}`);
  const values = [payload, info].map((bytes) => (bytes === null ? "" : `${skeleton(bytes)}${scale(bytes.length)}`));
  return `${String(message["op"])}:${fields.join(",")}:${values.join(":")}`;
}

/** A text of everything that a message means. */
export function meaningOf({ message, payload, info }: Read): string {
  const since = message["since"];
  const fields = {
    ...message,
    ...(since instanceof Map && { since: [...since].toSorted(([a], [b]) => (a < b ? -1 : 1)) }),
  };
  return JSON.stringify([fields, payload && canonical(payload), info && canonical(info)]);
}

/** Whether the other form can carry it, whatever widths become of its numbers. */
export function isPortable({ message, info }: Read): boolean {
  const { tag } = message;
  if (typeof tag === "string" && typeof message["options"] === "object" && !isUtf8Latin(tag)) return false;
  return info === null || info.length * 9 <= infoBytesMax;
}

/** Tags of publishes are kept as the bytes that came: the hub looks at them. */
function isUtf8Latin(tag: string): boolean {
  return Buffer.from(Buffer.from(tag, "latin1").toString("utf8")).toString("latin1") === tag;
}

type Part = { readonly json: string; readonly msgpack: Uint8Array };

const value = (json: unknown): Part => ({ json: JSON.stringify(json), msgpack: encode(json) });
const rawValue = (bytes: Uint8Array): Part => ({ json: payloadToJson(bytes), msgpack: bytes });

/** The message in both forms. */
export function writeMessage({ message, payload, info }: Read): Part {
  const { op: number, ref, tag, pattern, token, options } = message;
  const head = [value(number), value(ref)];
  switch (number) {
    case op.publish: {
      const name = typeof tag === "string" ? Buffer.from(tag, "latin1").toString("utf8") : tag;
      return list([...head, value(name), rawValue(payload!), publishOptions(options as PublishOptions)]);
    }
    case op.connect:
      return list([...head, fieldsOf(message, ["token", "client", "echo", "ping", "alias"])]);
    case op.subscribe: {
      const entries = entriesOf(message, ["last", "presence"]);
      entries.push(["since", sinceOf(message["since"] as Position | ReadonlyMap<string, Position> | null)]);
      if (info !== null) entries.push(["info", rawValue(info)]);
      return list([...head, value(pattern), map(entries)]);
    }
    case op.history: {
      const entries = entriesOf(message, ["last", "limit"]);
      entries.push(["since", sinceOf(message["since"] as Position | null)]);
      return list([...head, value(tag), map(entries)]);
    }
    case op.refresh:
      return list([...head, value(token)]);
    case op.ping:
      return list(head);
    default:
      return list([...head, value(tag ?? pattern)]);
  }
}

function publishOptions({ id, echo, reply }: PublishOptions): Part {
  // An id of bytes is kept as latin1; as text it may be too long.
  const bytes = id !== null && Buffer.byteLength(id) > 32 ? Buffer.from(id, "latin1") : null;
  const idPart = bytes === null ? value(id) : { json: `{"$bin":"${bytes.toBase64()}"}`, msgpack: encode(bytes) };
  return map([
    ["id", idPart],
    ["echo", value(echo)],
    ["reply", value(reply)],
  ]);
}

function fieldsOf(message: Read["message"], names: readonly string[]): Part {
  return map(entriesOf(message, names));
}

function entriesOf(message: Read["message"], names: readonly string[]): [string, Part][] {
  return names.map((name) => [name, value(message[name])]);
}

function sinceOf(since: Position | ReadonlyMap<string, Position> | null): Part {
  if (since === null) return value(null);
  if (!(since instanceof Map)) return value([(since as Position).epoch, (since as Position).offset]);
  return map([...since].map(([tag, { epoch, offset }]) => [tag, value([epoch, offset])]));
}

function list(parts: readonly Part[]): Part {
  return {
    json: `[${parts.map(({ json }) => json).join(",")}]`,
    msgpack: Buffer.concat([Uint8Array.of(0x90 + parts.length), ...parts.map(({ msgpack }) => msgpack)]),
  };
}

function map(entries: readonly (readonly [string, Part])[]): Part {
  const head = Uint8Array.of(0xde, entries.length >> 8, entries.length & 0xff);
  return {
    json: `{${entries.map(([key, { json }]) => `${JSON.stringify(key)}:${json}`).join(",")}}`,
    msgpack: Buffer.concat([head, ...entries.flatMap(([key, { msgpack }]) => [encode(key), msgpack])]),
  };
}

/** @throws where the message means something else once it has been through `reader` */
export function expectSame(read: Read, reader: ClientMessageReader, frame: Uint8Array | string): void {
  const { reads, signature } = readFrame(reader, frame);
  const [other] = reads;
  const shown = typeof frame === "string" ? frame : Buffer.from(frame).toString("hex");
  if (other === undefined || reads.length !== 1) throw new Error(`The other form is refused: ${signature}: ${shown}`);
  const [mine, theirs] = [meaningOf(read), meaningOf(other)];
  if (mine !== theirs) throw new Error(`The other form means something else:\n${mine}\n${theirs}\n${shown}`);
}
