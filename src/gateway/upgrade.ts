/** From an upgrade request to what the session starts with: lane, credential, patterns. */
import type { Lane } from "../wire/messages.ts";
import { subprotocols } from "../wire/messages.ts";

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

export const cookieName = "tagcast";

/**
 * The credential of a request: `Authorization: Bearer`, or the cookie, which counts only where the page that sent it has
 * the server's own origin or one of `allowedOrigins` (cross-site requests carry cookies too). `reads`: the request
 * changes nothing, so that its answer alone matters.
 */
export function credentialOf(headers: Headers, allowedOrigins: readonly string[], reads = false): string | null {
  const authorization = headers.get("authorization") ?? "";
  // An admin token may hold spaces.
  const bearer = /^bearer /i.test(authorization) ? authorization.slice("bearer ".length).trim() : "";
  if (bearer !== "") return bearer;
  const cookie = cookieOf(headers.get("cookie") ?? "");
  if (cookie === null) return null;
  return isOwnOrigin(headers, allowedOrigins) || (reads && isUnreadableElsewhere(headers)) ? cookie : null;
}

/**
 * Whether browsers keep the answer from pages of other origins: they name no origin in requests for reading to a page's
 * own server, nor in those of images and scripts, which cannot see what comes. Newer ones say which of the two it is.
 */
function isUnreadableElsewhere(headers: Headers): boolean {
  const site = headers.get("sec-fetch-site") ?? "same-origin";
  return headers.get("origin") === null && (site === "same-origin" || site === "none");
}

function cookieOf(header: string): string | null {
  for (const pair of header.split(";")) {
    const [name, ...value] = pair.trim().split("=");
    if (name === cookieName) return value.join("=") || null;
  }
  return null;
}

function isOwnOrigin(headers: Headers, allowedOrigins: readonly string[]): boolean {
  const origin = headers.get("origin");
  if (origin === null) return false;
  if (allowedOrigins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === headers.get("host");
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
