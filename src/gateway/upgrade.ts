/** From an upgrade request to what the session starts with: lane, patterns. */
import type { Lane } from "../wire/messages.ts";
import { subprotocols } from "../wire/messages.ts";

/** Patterns that an upgrade may name: they are subscribed to in one turn, whatever that costs. */
export const namedMax = 256;

/** The chosen form of the wire, or null where only unknown ones are offered. None offered: MessagePack, and none is named. */
export function chooseLane(header: string | null): { lane: Lane; protocol: string } | null {
  if (header === null) return { lane: "msgpack", protocol: "" };
  for (const offered of header.split(",")) {
    const protocol = offered.trim();
    if (protocol === subprotocols.msgpack) return { lane: "msgpack", protocol };
    if (protocol === subprotocols.json) return { lane: "json", protocol };
  }
  return null;
}

/**
 * Patterns named at the upgrade: header `Tag` or query `tags`, which may come several times, percent-encoded, separated by
 * commas. Null: none.
 * @throws URIError where the percent-encoding is broken
 */
export function namedPatterns(headers: Headers, url: string): string[] | null {
  const queries = [...url.matchAll(/[?&]tags=([^&#]*)/g)].map(([, text]) => text);
  const listed = [headers.get("tag"), ...queries].filter((text) => text !== null && text !== undefined && text !== "");
  if (listed.length === 0) return null;
  return listed
    .join(",")
    .split(",")
    .map((pattern) => decodeURIComponent(pattern.trim()))
    .filter((pattern) => pattern !== "");
}
