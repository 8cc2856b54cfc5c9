/** The server's messages as JSON text: each function returns one line, without its line end. */
import { isList } from "./encode.ts";
import { payloadToJson } from "./json-payload.ts";
import { op, Raw, type ResultValue } from "./messages.ts";
import type { GapDetail, WireMember } from "./write-msgpack.ts";

/** A message body as JSON text, rendered once for all who get it. */
export interface RenderedBody {
  readonly payload: string;
  /** Null where there is no meta. */
  readonly meta: string | null;
}

/** `source[start…payloadEnd)` is the payload, `source[payloadEnd…end)` the meta map, empty where there is none. */
export function renderBody(source: Uint8Array, start: number, payloadEnd: number, end: number): RenderedBody {
  return {
    payload: payloadToJson(source, start, payloadEnd),
    meta: end > payloadEnd ? payloadToJson(source, payloadEnd, end) : null,
  };
}

/** `offset` and `epoch` 0: the tag keeps no log. `pattern` null: for subscribers of the tag itself. */
export function renderMessage(
  tag: string,
  offset: number,
  payload: string,
  meta: string | null,
  pattern: string | null,
  epoch: number,
): string {
  const head = `[${op.message},${JSON.stringify(tag)},${offset === 0 ? "null" : offset},${payload}`;
  if (pattern === null) return meta === null ? `${head}]` : `${head},${meta}]`;
  return `${head},${meta ?? "null"},${JSON.stringify(pattern)}${epoch > 0 ? `,${epoch}]` : "]"}`;
}

export function renderOk(ref: number, result: ResultValue): string {
  return `[${op.ok},${ref},${renderValue(result)}]`;
}

/** `count`: how many errors this message stands for (ref 0 only). */
export function renderError(ref: number, code: number, text: string, count?: number): string {
  return `[${op.error},${ref},${code},${JSON.stringify(text)}${count === undefined ? "" : `,${count}`}]`;
}

/** `joined` given and `left` null: the full list. Both null: only the count is told. */
export function renderPresence(
  tag: string,
  version: number,
  joined: readonly WireMember[] | null,
  left: readonly WireMember[] | null,
  count: number,
): string {
  const joinedText = joined === null ? "null" : `[${joined.map(renderMember).join(",")}]`;
  const leftText = left === null ? "null" : JSON.stringify(left.map((member) => [member.client, member.generation]));
  return `[${op.presenceChange},${JSON.stringify(tag)},${version},${joinedText},${leftText},${count}]`;
}

/** `name`: the tag, or the pattern. `from` and `to` are offsets, null where there is no log. */
export function renderGap(name: string, from: number | null, to: number | null, detail: GapDetail): string {
  const { code, count, epoch, pattern } = detail;
  return JSON.stringify([op.gap, name, from, to, { code, count, epoch, pattern }]);
}

export function renderUnsubscribed(pattern: string, code: number, text: string): string {
  return JSON.stringify([op.unsubscribed, pattern, code, text]);
}

export function renderDisconnect(code: number, text: string, retryAfterMs: number): string {
  return JSON.stringify([op.disconnect, code, text, retryAfterMs]);
}

function renderMember(member: WireMember): string {
  const info = member.info === null ? "null" : payloadToJson(member.info);
  return `[${JSON.stringify(member.client)},${member.generation},${info}]`;
}

/** Any value of a result; `Raw` as the payload that it is, fields that are undefined are left out. */
export function renderValue(value: ResultValue): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (value instanceof Raw) return payloadToJson(value.bytes);
  if (value instanceof Uint8Array) return `{"$bin":"${value.toBase64()}"}`;
  if (isList(value)) return `[${value.map(renderValue).join(",")}]`;
  const entries = value instanceof Map ? [...(value as ReadonlyMap<string, ResultValue>)] : Object.entries(value);
  const fields: string[] = [];
  for (const [key, field] of entries as [string, ResultValue | undefined][]) {
    if (field !== undefined) fields.push(`${JSON.stringify(key)}:${renderValue(field)}`);
  }
  return `{${fields.join(",")}}`;
}
