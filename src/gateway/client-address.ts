/**
 * Whose request it is: the address of the client and the scheme it speaks, also behind proxies. What headers say counts
 * only as far as the peer, and each hop it names, is a proxy that the configuration trusts.
 */
import type { Server } from "bun";
import {
  formatIp,
  type IpAddress,
  type IpRange,
  isWithin,
  maskedTo,
  parseIp,
  parseIpRange,
} from "../lib/ip-address.ts";

export interface Client {
  /** Canonical: IPv4 dotted, IPv6 as RFC 5952 has it. Empty where there is none. */
  readonly address: string;
  /** Whether it speaks TLS to the outermost trusted proxy; null: no header that counts says so. */
  readonly secure: boolean | null;
}

/** The proxies whose word counts. */
export type TrustedProxies = readonly IpRange[];

/** From what the configuration holds: addresses and ranges, all valid. */
export function trustedProxies(texts: readonly string[]): TrustedProxies {
  return texts.map(parseIpRange).filter((range) => range !== null);
}

/** One step of a request's way: who sent it to the proxy that tells it. */
interface Hop {
  /** Null: unknown, obfuscated, or not an address. */
  readonly address: IpAddress | null;
  readonly secure: boolean | null;
}

/**
 * Walks from `peerAddress` outwards, past proxies of `trusted`, through `Forwarded` (RFC 7239) or `X-Forwarded-For` with
 * `X-Forwarded-Proto`; the first address that is no trusted proxy is the client's. Where the next hop is unknown or not
 * well-formed, the last known one stands for it. Where both headers are there and do not name the same client, one of them
 * is not the proxy's own: neither counts, but for a scheme that is not secure.
 */
export function clientOf(headers: Headers, peerAddress: string, trusted: TrustedProxies): Client {
  // The zone of a link-local address is this machine's own.
  const peer = parseIp(peerAddress.replace(/%.*$/, ""));
  if (peer === null) return { address: "", secure: null };
  const direct = { address: formatIp(peer), secure: null };
  if (trusted.length === 0 || !isTrusted(peer, trusted)) return direct;
  const forwarded = headers.get("forwarded");
  const listed = headers.get("x-forwarded-for");
  const scheme = headers.get("x-forwarded-proto");
  if (forwarded === null && listed === null && scheme === null) return direct;
  const byStandard = forwarded === null ? null : outermost(peer, forwardedHops(forwarded), trusted);
  const byCustom = listed === null && scheme === null ? null : outermost(peer, listedHops(listed, scheme), trusted);
  if (byStandard === null || byCustom === null) return byStandard ?? byCustom ?? direct;
  const secure = agreed(byStandard.secure, byCustom.secure);
  if (listed === null || byStandard.address === byCustom.address) return { ...byStandard, secure };
  return { ...direct, secure: secure === false ? false : null };
}

/** The client of a request that the runtime holds; ask before the upgrade. */
export function clientAt(
  request: Request,
  server: Pick<Server<unknown>, "requestIP">,
  trusted: TrustedProxies,
): Client {
  return clientOf(request.headers, server.requestIP(request)?.address ?? "", trusted);
}

/** What limits count by: an IPv4 address, or the first bits of one of IPv6, of which a client has very many. */
export function limitKey(address: string, ipv6Bits: number): string {
  const ip = address.includes(":") ? parseIp(address) : null;
  return ip === null || ip.length === 4 ? address : `${formatIp(maskedTo(ip, ipv6Bits))}/${ipv6Bits}`;
}

/** Whether an address as `clientOf` gives it is this machine's own. */
export function isLoopbackAddress(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

function isTrusted(address: IpAddress, trusted: TrustedProxies): boolean {
  return trusted.some((range) => isWithin(address, range));
}

function agreed(a: boolean | null, b: boolean | null): boolean | null {
  if (a === null || b === null) return a ?? b;
  return a && b;
}

/** `hops`: the nearest last. */
function outermost(peer: IpAddress, hops: readonly Hop[], trusted: TrustedProxies): Client {
  let client = peer;
  let secure: boolean | null = null;
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = hops[i] as Hop;
    secure = hop.secure;
    if (hop.address === null) break;
    client = hop.address;
    if (!isTrusted(client, trusted)) break;
  }
  return { address: formatIp(client), secure };
}

/** `X-Forwarded-For` has an address a hop; the schemes belong to hops where they are as many, else all must be secure. */
function listedHops(listed: string | null, scheme: string | null): readonly Hop[] {
  const schemes = scheme === null ? [] : scheme.split(",").map((text) => schemeOf(text.trim()));
  const all = schemes.length === 0 ? null : schemes.every(Boolean);
  if (listed === null) return [{ address: null, secure: all }];
  const nodes = listed.split(",");
  const each = nodes.length === schemes.length;
  return nodes.map((node, i) => ({ address: nodeAddress(node.trim()), secure: (each ? schemes[i] : all) ?? null }));
}

/** A scheme nobody knows is not a secure one. */
function schemeOf(text: string): boolean {
  return /^(https|wss)$/i.test(text);
}

const unknownHop: Hop = { address: null, secure: null };
/** A forwarded-pair and what separates it from the next: RFC 7239 section 4. */
const pair = /\s*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w:[\]-]+)|"((?:[^"\\]|\\.)*)")\s*)?(;|,|$)/y;

/** The elements of `Forwarded`; one unknown hop where it is not well-formed: then nobody can say whose words it holds. */
function forwardedHops(header: string): readonly Hop[] {
  const hops: Hop[] = [];
  let element = new Map<string, string>();
  pair.lastIndex = 0;
  for (;;) {
    const match = pair.exec(header);
    if (match === null) return [unknownHop];
    const [, name, token, quoted, separator] = match;
    if (name !== undefined) element.set(name.toLowerCase(), token ?? (quoted ?? "").replace(/\\(.)/g, "$1"));
    if (separator === ";") continue;
    if (element.size > 0) hops.push(hopOf(element));
    if (separator === "") return hops;
    element = new Map();
  }
}

function hopOf(element: ReadonlyMap<string, string>): Hop {
  const scheme = element.get("proto");
  return { address: nodeAddress(element.get("for") ?? ""), secure: scheme === undefined ? null : schemeOf(scheme) };
}

/** A node with or without a port; `unknown` and identifiers that begin with `_` are none. RFC 7239 section 6. */
function nodeAddress(node: string): IpAddress | null {
  const bracketed = /^\[([^[\]]*)\](?::(?:\d{1,5}|_[\w.-]+))?$/.exec(node)?.[1];
  if (bracketed !== undefined) return bracketed.includes(":") ? parseIp(bracketed) : null;
  const withPort = /^([\d.]+):(?:\d{1,5}|_[\w.-]+)$/.exec(node)?.[1];
  return parseIp(withPort ?? node);
}
