/** The rules on what client messages may hold, once for both forms: from decoded fields to checked messages. */
import { errors, type ErrorCode } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import { isEpoch, isOffset, type Position } from "../core/position.ts";
import { hasWildcard, isTag, tagBytesMax } from "../core/tag.ts";
import { op, wireLimits, type ConnectMessage, type HistoryMessage, type RefreshMessage } from "./messages.ts";
import type { SubscribeMessage } from "./messages.ts";
import { utf8Length } from "./utf8.ts";

/** A field of an options map as either reader hands it on; strings are well-formed, numbers not yet checked. */
export type FieldValue =
  null | boolean | number | string | Uint8Array | readonly FieldValue[] | ReadonlyMap<string, FieldValue>;

/** The known fields of an options map. */
export type Fields = ReadonlyMap<string, FieldValue>;

/** The options that each op knows; all others are ignored. */
export const knownFields = {
  connect: new Set(["token", "client", "echo", "ping", "alias"]),
  subscribe: new Set(["since", "last", "presence", "info"]),
  history: new Set(["since", "last", "limit"]),
} as const satisfies Record<string, ReadonlySet<string>>;

/** Elements that a message of each op has at least. */
export const elementsMin: Readonly<Partial<Record<number, number>>> = {
  [op.connect]: 2,
  [op.subscribe]: 3,
  [op.unsubscribe]: 3,
  [op.publish]: 4,
  [op.history]: 3,
  [op.presence]: 3,
  [op.refresh]: 3,
  [op.ping]: 2,
};

/** The elements of those ops that have optional ones; later elements are of a newer version and ignored. */
export const elementsMax: Readonly<Partial<Record<number, number>>> = {
  [op.connect]: 3,
  [op.subscribe]: 4,
  [op.publish]: 5,
  [op.history]: 4,
};

/** The field that is handed on as MessagePack bytes, whatever it holds. */
export const rawField = "info";

const uint32Max = 0xffff_ffff;

export function connectOf(ref: number, fields: Fields): ConnectMessage {
  return {
    op: op.connect,
    ref,
    token: text(fields, "token", 0, wireLimits.tokenBytesMax),
    client: text(fields, "client", 1, wireLimits.clientBytesMax),
    echo: flag("echo", fields.get("echo")),
    ping: integer(fields, "ping", wireLimits.pingSecondsMin, wireLimits.pingSecondsMax),
    alias: flag("alias", fields.get("alias")),
  };
}

export function subscribeOf(ref: number, pattern: string, fields: Fields): SubscribeMessage {
  const since = fields.get("since") ?? null;
  const info = fields.get(rawField);
  if (info instanceof Uint8Array && info.length > wireLimits.presenceInfoBytesMax) {
    throw badRequest(`"info" takes at most ${wireLimits.presenceInfoBytesMax} bytes`);
  }
  return {
    op: op.subscribe,
    ref,
    pattern,
    since: hasWildcard(pattern) ? positionsOf(since) : positionOf(since),
    last: integer(fields, "last", 1, uint32Max),
    presence: flag("presence", fields.get("presence")) ?? false,
    info: info instanceof Uint8Array ? info : null,
  };
}

export function historyOf(ref: number, tag: string, fields: Fields): HistoryMessage {
  return {
    op: op.history,
    ref,
    tag,
    since: positionOf(fields.get("since") ?? null),
    last: integer(fields, "last", 1, uint32Max),
    limit: integer(fields, "limit", 1, wireLimits.historyLimitMax),
  };
}

export function refreshOf(ref: number, token: string | null): RefreshMessage {
  if (token === null || utf8Length(token) > wireLimits.tokenBytesMax)
    throw badRequest("The token is missing or too long");
  return { op: op.refresh, ref, token };
}

/** An idempotency key; bytes as latin1. */
export function idOf(value: FieldValue): string | null {
  if (value === null) return null;
  const length = typeof value === "string" ? utf8Length(value) : value instanceof Uint8Array ? value.length : 0;
  if (length < 1 || length > wireLimits.idBytesMax) throw badRequest(`"id" takes 1 to ${wireLimits.idBytesMax} bytes`);
  return typeof value === "string" ? value : latin1(value as Uint8Array);
}

/** A reply tag; its characters are not looked at. */
export function replyOf(value: FieldValue): string | null {
  if (value === null) return null;
  if (typeof value !== "string" || !isTag(value)) throw new ProtocolError(errors.invalidTag);
  return value;
}

/** @throws ProtocolError `badRequest` where the value is neither a boolean nor absent */
export function flag(name: string, value: FieldValue | undefined): boolean | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "boolean") throw badRequest(`"${name}" must be a boolean`);
  return value;
}

/** Whether a tag or pattern may take so many bytes. */
export function isTagLength(bytes: number): boolean {
  return bytes >= 1 && bytes <= tagBytesMax;
}

/** A tag or pattern as decoded: `code` says which of the two is wrong where it is not a string of 1–255 bytes. */
export function checkedText(value: unknown, code: ErrorCode): string {
  if (typeof value !== "string" || !value.isWellFormed() || !isTagLength(utf8Length(value))) {
    throw new ProtocolError(code);
  }
  return value;
}

export function checkedTagCount(count: number): number {
  if (count < 1 || count > wireLimits.tagsPerPublishMax) {
    throw badRequest(`A publish names 1 to ${wireLimits.tagsPerPublishMax} tags`);
  }
  return count;
}

export function isRef(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= uint32Max;
}

/** Whether it may stand for a tag: an unsigned integer. */
export function isAlias(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);
}

export function badRequest(message: string = errors.badRequest.text, cause?: unknown): ProtocolError {
  return new ProtocolError(errors.badRequest, message, { cause });
}

function text(fields: Fields, name: string, bytesMin: number, bytesMax: number): string | null {
  const value = fields.get(name) ?? null;
  if (value === null) return null;
  if (typeof value === "string") {
    const length = utf8Length(value);
    if (length >= bytesMin && length <= bytesMax) return value;
  }
  throw badRequest(`"${name}" must be a string of ${bytesMin} to ${bytesMax} bytes`);
}

function integer(fields: Fields, name: string, min: number, max: number): number | null {
  const value = fields.get(name) ?? null;
  if (value === null) return null;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw badRequest(`"${name}" must be an integer from ${min} to ${max}`);
}

function positionOf(value: FieldValue): Position | null {
  if (value === null) return null;
  if (Array.isArray(value) && value.length === 2) {
    const [epoch, offset] = value as readonly unknown[];
    if (isEpoch(epoch) && isOffset(offset)) return { epoch, offset };
  }
  throw badRequest('"since" must be a position: [epoch, offset]');
}

function positionsOf(value: FieldValue): ReadonlyMap<string, Position> | null {
  if (value === null) return null;
  if (!(value instanceof Map)) throw badRequest('"since" of a pattern must be a map from tag to position');
  if (value.size > wireLimits.sincePerPatternMax) {
    throw badRequest(`"since" names at most ${wireLimits.sincePerPatternMax} tags`);
  }
  const positions = new Map<string, Position>();
  for (const [tag, field] of value as ReadonlyMap<string, FieldValue>) {
    const position = positionOf(field);
    if (position === null) throw badRequest(`"since" has no position for "${tag}"`);
    positions.set(checkedText(tag, errors.invalidTag), position);
  }
  return positions;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
