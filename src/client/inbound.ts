/** Fields of the server's messages, read with care: what has another type than expected counts as absent. */
import { isEpoch, isOffset, type Position } from "../core/position.ts";
import type { HistoryMessage, HistoryPage, Member, Members, MessageMeta } from "./types.ts";

/** Result of op 16, or any other map. */
export type Fields = Readonly<Record<string, unknown>>;

export function asFields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function asText(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

export function asNumber(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

/** Offset of a message: null where its tag keeps no log. */
export function asOffset(value: unknown): number | null {
  return isOffset(value) ? value : null;
}

export function asEpoch(value: unknown): number | null {
  return isEpoch(value) ? value : null;
}

/** `[epoch, offset]`. */
export function asPosition(value: unknown): Position | null {
  const [epoch, offset] = asList(value);
  return isEpoch(epoch) && isOffset(offset) ? { epoch, offset } : null;
}

export function asMeta(value: unknown): MessageMeta | null {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Map) return null;
  return value as MessageMeta;
}

/** Position after which everything is delivered: `start` is the offset where messages up to `position` come first. */
export function asStart(position: unknown, start: unknown): Position | null {
  const [epoch, offset] = asList(position);
  return asPosition([epoch, start ?? offset]);
}

/**
 * `[[tag, epoch, offset, start?], …]`: for each tag with a log that a subscription through wildcards did not name, the
 * position after which everything is delivered.
 */
export function asUnseen(value: unknown): Map<string, Position> {
  const unseen = new Map<string, Position>();
  for (const entry of asList(value)) {
    const [tag, epoch, offset, start] = asList(entry);
    const position = asStart([epoch, offset], start);
    if (typeof tag === "string" && position !== null) unseen.set(tag, position);
  }
  return unseen;
}

/** `[client, generation, info]`, or of a leave `[client, generation]`. */
export function asMembers(value: unknown): Member[] {
  return asList(value).map((member) => {
    const [client, generation, info] = asList(member);
    return { client: asText(client) ?? "", generation: asNumber(generation) ?? 0, info: info ?? null };
  });
}

/** Result of op 6, and `presence` in the result of op 2. */
export function asPresence(value: unknown): Members | null {
  const { version, count, members } = asFields(value);
  if (typeof count !== "number") return null;
  return { version: asNumber(version) ?? 0, count, members: Array.isArray(members) ? asMembers(members) : null };
}

/** Result of op 5; null where it has no position. */
export function asPage(tag: string, fields: Fields): HistoryPage | null {
  const position = asPosition(fields["position"]);
  if (position === null) return null;
  const { epoch } = position;
  const messages: HistoryMessage[] = [];
  for (const entry of asList(fields["messages"])) {
    const [offset, payload, meta, timeMs] = asList(entry);
    if (!isOffset(offset)) continue;
    const place = { offset, position: { epoch, offset }, timeMs: asNumber(timeMs) ?? 0 };
    messages.push({ tag, payload, meta: asMeta(meta), pattern: null, ...place });
  }
  const { more, recovered } = fields;
  return { position, messages, more: more === true, recovered: typeof recovered === "boolean" ? recovered : null };
}
