/** How a Redis is named in settings: one server, servers of a Redis Cluster, or Sentinels and the name of what they watch. */

export interface RedisAddress {
  /** Of servers, or of Sentinels: `redis://` or `rediss://`, with what is needed to log in. At least one. */
  readonly urls: readonly string[];
  /** What the Sentinels are to be asked for; null: `urls` are servers. */
  readonly sentinel: {
    readonly master: string;
    /** The URL of the master, given the host and port that a Sentinel names. */
    readonly urlOf: (host: string, port: number) => string;
  } | null;
}

/** In a word what is accepted, for people. */
export const redisAddressForm =
  "redis://host:port or rediss://host:port, several hosts separated by commas, or redis+sentinel://host:port,host:port/master; with user:password@ before the first host where they are needed";

const parts = /^(rediss?)(\+sentinel)?:\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const sentinelPort = 26_379;

/** Null where `text` is none. */
export function parseRedisAddress(text: string): RedisAddress | null {
  if (/^rediss?\+sentinel:/.test(text)) return sentinels(text);
  const urls = text.split(/,(?=rediss?:\/\/)/).flatMap(servers);
  return urls.length > 0 && urls.every(isServer) ? { urls, sentinel: null } : null;
}

/** @throws Error where `text` is none */
export function readRedisAddress(text: string): RedisAddress {
  const address = parseRedisAddress(text);
  if (address === null) throw new Error(`The address of Redis must be ${redisAddressForm}`);
  return address;
}

/** `host:port` of each, without what is needed to log in. */
export function hostsOf({ urls }: RedisAddress): string {
  return urls.map((url) => URL.parse(url)?.host ?? "").join(", ");
}

function servers(text: string): string[] {
  const [whole, scheme = "", , login, hosts = "", path = "", query] = parts.exec(text) ?? [];
  if (whole === undefined) return [""];
  const end = (path === "" ? "" : `/${path}`) + (query === undefined ? "" : `?${query}`);
  const isDatabase = path === "" || /^\d+$/.test(path);
  return hosts.split(",").map((host) => (host === "" || !isDatabase ? "" : `${scheme}://${at(login)}${host}${end}`));
}

function sentinels(text: string): RedisAddress | null {
  const [, scheme = "", , login, hosts = "", path = "", query = ""] = parts.exec(text) ?? [];
  const master = decoded(path);
  const { searchParams } = new URL(`redis://host/?${query}`);
  const isKnown = [...searchParams.keys()].every((key) => key === "user" || key === "password");
  if (master === null || master === "" || !isKnown) return null;
  const [user, password] = [searchParams.get("user") ?? "", searchParams.get("password")];
  const theirs = password === null ? undefined : `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  const urls = hosts.split(",").map((host) => {
    const url = `${scheme}://${at(theirs)}${host}`;
    return URL.parse(url)?.port === "" ? `${url}:${sentinelPort}` : url;
  });
  if (!urls.every(isServer)) return null;
  const urlOf = (host: string, port: number) => `${scheme}://${at(login)}${hostInUrl(host)}:${port}`;
  return { urls, sentinel: { master, urlOf } };
}

/** An IPv6 address stands in brackets. */
export function hostInUrl(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

function at(login: string | undefined): string {
  return login === undefined ? "" : `${login}@`;
}

function isServer(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed !== null && /^rediss?:$/.test(parsed.protocol) && parsed.hostname !== "";
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
