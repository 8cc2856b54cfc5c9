/** What the tests of the wire share: limits, readers, and messages as comparable values. */
import { ProtocolError } from "../../../src/core/errors.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { jsonToPayload, payloadToJson } from "../../../src/wire/json-payload.ts";
import type { ClientMessage, ClientMessageReader } from "../../../src/wire/messages.ts";
import { Raw, op, type ResultValue } from "../../../src/wire/messages.ts";
import { JsonMessageReader } from "../../../src/wire/read-json.ts";
import { MsgpackMessageReader } from "../../../src/wire/read-msgpack.ts";
import * as json from "../../../src/wire/write-json.ts";
import * as msgpack from "../../../src/wire/write-msgpack.ts";

/** The limits that the vectors assume, and the defaults of the server. */
export const limits = { payloadMaxBytes: 1024 * 1024, depthMax: 64 } as const;

export const msgpackReader = (): MsgpackMessageReader => new MsgpackMessageReader(limits);
export const jsonReader = (): JsonMessageReader => new JsonMessageReader(limits);

export const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");
export const hexOf = (data: Uint8Array, start = 0, end: number = data.length): string =>
  Buffer.from(data.subarray(start, end)).toString("hex");

/** A message that owes nothing to its frame or its form, to compare. */
export function plain(message: ClientMessage): unknown {
  if (message.op === op.publish) {
    const { frame, tagStart, tagEnd, alias, payloadStart, payloadEnd, tags, options, ref } = message;
    const name = alias < 0 ? Buffer.from(frame.subarray(tagStart, tagEnd)).toString() : alias;
    const tag = tags === null ? name : [...tags];
    return {
      op: message.op,
      ref,
      tag,
      payload: hexOf(frame, payloadStart, payloadEnd),
      options: options === null || Object.values(options).every((option) => option === null) ? null : { ...options },
    };
  }
  if (message.op !== op.subscribe) return message;
  return { ...message, info: message.info === null ? null : hexOf(message.info) };
}

/** What came of one message of a frame. */
export type Outcome =
  | { readonly message: unknown }
  | { readonly code: number; readonly ref: number; readonly hostile: boolean; readonly recoverable: boolean };

/** Reads a frame as a session does: on, until its end or an error that loses the rest. Anything but a ProtocolError is thrown. */
export function readAll(reader: ClientMessageReader, frame: Uint8Array | string): Outcome[] {
  const outcomes: Outcome[] = [];
  reader.load(frame);
  while (true) {
    try {
      const message = reader.next();
      if (message === null) return outcomes;
      outcomes.push({ message: plain(message) });
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const { failedRef: ref, recoverable } = reader;
      outcomes.push({ code: error.code.code, ref, hostile: error.hostile, recoverable });
      if (!recoverable) return outcomes;
    }
  }
}

/** A JSON value as MessagePack bytes. */
export function payloadOf(value: unknown): Uint8Array {
  const w = new ByteWriter();
  jsonToPayload(value, w);
  return w.copy();
}

/** A server message in JSON form, through our writers: both forms of it. */
export function writeBoth(value: readonly unknown[]): { readonly msgpack: Uint8Array; readonly json: string } {
  const w = new ByteWriter();
  return { json: write(w, value), msgpack: w.copy() };
}

type Members = readonly (readonly [client: string, generation: number, info?: unknown])[] | null;

function write(w: ByteWriter, [number, ...rest]: readonly unknown[]): string {
  switch (number) {
    case op.ok:
      return writeOk(w, rest as [number, Record<string, unknown>]);
    case op.error: {
      const [ref, code, text, count] = rest as [number, number, string, number?];
      msgpack.writeError(w, ref, code, text, count);
      return json.renderError(ref, code, text, count);
    }
    case op.message:
      return writeMessage(w, rest);
    case op.presenceChange: {
      const [tag, version, joined, left, count] = rest as [string, number, Members, Members, number];
      msgpack.writePresence(w, tag, version, membersOf(joined), membersOf(left), count);
      return json.renderPresence(tag, version, membersOf(joined), membersOf(left), count);
    }
    case op.gap: {
      const [name, from, to, detail] = rest as [string, number | null, number | null, msgpack.GapDetail];
      msgpack.writeGap(w, name, from, to, detail);
      return json.renderGap(name, from, to, detail);
    }
    case op.unsubscribed: {
      const [pattern, code, text] = rest as [string, number, string];
      msgpack.writeUnsubscribed(w, pattern, code, text);
      return json.renderUnsubscribed(pattern, code, text);
    }
    default: {
      const [code, text, retryAfterMs] = rest as [number, string, number];
      msgpack.writeDisconnect(w, code, text, retryAfterMs);
      return json.renderDisconnect(code, text, retryAfterMs);
    }
  }
}

function writeMessage(w: ByteWriter, rest: readonly unknown[]): string {
  const [tag, offset, payload, meta, pattern, epoch] = rest as [
    string | number,
    number | null,
    unknown,
    unknown,
    string?,
    number?,
  ];
  const head = payloadOf(payload);
  // Stands within other bytes, as it does in a log.
  const source = Buffer.concat([Buffer.of(1, 2), head, meta ? payloadOf(meta) : Buffer.alloc(0), Buffer.of(3)]);
  const payloadEnd = 2 + head.length;
  const end = source.length - 1;
  const tagHead = typeof tag === "number" ? msgpack.encodeAliasHead(tag) : msgpack.encodeTagHead(tag);
  if (pattern === undefined) msgpack.writeMessage(w, tagHead, offset ?? 0, source, 2, payloadEnd, end);
  else {
    const name = msgpack.encodePattern(pattern);
    msgpack.writeWildcardMessage(w, tagHead, offset ?? 0, source, 2, payloadEnd, end, name, epoch ?? 0);
  }
  const body = json.renderBody(source, 2, payloadEnd, end);
  // No server writes an alias as JSON, but it is written as any number is.
  return json.renderMessage(tag as string, offset ?? 0, body.payload, body.meta, pattern ?? null, epoch ?? 0);
}

function writeOk(w: ByteWriter, [ref, result]: [number, Record<string, unknown>]): string {
  msgpack.writeOk(w, ref, resultOf(result));
  return json.renderOk(ref, resultOf(result));
}

/** Payloads, metas and infos stand in results as `Raw`. */
function resultOf(result: Record<string, unknown>): ResultValue {
  const raw = (value: unknown): ResultValue => (value === null ? null : new Raw(payloadOf(value)));
  const fields: Record<string, unknown> = { ...result };
  const listOf = (list: unknown): unknown =>
    (list as [string, number, unknown][] | null)?.map(([c, g, i]) => [c, g, raw(i)]) ?? null;
  if ("members" in result) fields["members"] = listOf(result["members"]);
  if ("presence" in result) {
    const presence = result["presence"] as Record<string, unknown>;
    fields["presence"] = { ...presence, members: listOf(presence["members"]) };
  }
  if ("messages" in result) {
    const messages = result["messages"] as [number, unknown, unknown, number][];
    fields["messages"] = messages.map(([offset, payload, meta, time]) => [offset, raw(payload), raw(meta), time]);
  }
  return fields as ResultValue;
}

function membersOf(list: Members): msgpack.WireMember[] | null {
  if (list === null) return null;
  return list.map(([client, generation, info = null]) => ({
    client,
    generation,
    info: info === null ? null : payloadOf(info),
  }));
}

/** The JSON text of the value that `data` holds. */
export const textOf = (data: Uint8Array): string => payloadToJson(data);
