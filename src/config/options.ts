/**
 * The one table of options: name, type, default, bounds and help. Flag `--x-y`, variable `TAGCAST_X_Y` and key `x-y`
 * of the file follow from the key `x-y`; `docs/config.md` and `serve --help` are generated from here.
 */
import { parseRedisAddress, redisAddressForm } from "../core/redis-address.ts";
import { roles } from "../core/role.ts";
import { parseIpRange } from "../lib/ip-address.ts";
import type { Config } from "./config.ts";
import { isAllowedOrigin, isHost } from "./hosts.ts";
import type { Value, ValueSpec } from "./values.ts";

/** Settings that are one value each; tags, keys and applications stand only in the file (`sections.ts`). */
export type Scalars = Omit<Config, "applications">;
export type ScalarField = keyof Scalars;

export interface OptionText {
  readonly key: string;
  readonly group: OptionGroup;
  /** One or two sentences, sentence case. */
  readonly help: string;
  /** Its value is never shown. */
  readonly secret?: true;
}

export type Option = ValueSpec & OptionText & { readonly default: Value };

export const optionGroups = [
  "Listening",
  "Encryption",
  "Store",
  "Cluster",
  "Credentials",
  "Limits",
  "Times",
  "Logs",
] as const;
export type OptionGroup = (typeof optionGroups)[number];

const KiB = 1024;
const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Levels beyond which readers of JSON would run out of stack. */
const depthOffMax = 512;

/** Keyed by the field of `Config` that an option fills. */
export const options = {
  host: {
    key: "host",
    group: "Listening",
    kind: "string",
    default: "127.0.0.1",
    expected: "an IP address (IPv6 without brackets) or a host name",
    accept: isHost,
    help: "Address to listen on; 0.0.0.0 or :: for all. Anything beyond loopback needs a credential.",
  },
  port: {
    key: "port",
    group: "Listening",
    kind: "integer",
    default: 8080,
    min: 0,
    max: 65_535,
    help: "Port of WebSocket and HTTP; 0 takes any free one.",
  },
  reusePort: {
    key: "reuse-port",
    group: "Listening",
    kind: "boolean",
    default: false,
    help: "Share the port with other processes of this machine, each of which gets a part of the connections. For processes that have one broker.",
  },
  roles: {
    key: "role",
    group: "Listening",
    kind: "set",
    default: ["gateway", "api"],
    values: roles,
    help: "What this instance serves: `gateway` WebSockets and event streams, `api` the HTTP API, its documentation and the pages. Health and metrics are served by every instance.",
  },
  compression: {
    key: "compression",
    group: "Listening",
    kind: "boolean",
    default: false,
    help: "Compress WebSocket frames (permessage-deflate) for clients that offer it. Saves bytes on slow links and costs much CPU: every frame is compressed anew for each subscriber.",
  },
  allowedOrigins: {
    key: "allowed-origins",
    group: "Listening",
    kind: "list",
    default: [],
    expected: 'origins such as "https://app.example.com", without a path, separated by commas, or *',
    accept: isAllowedOrigin,
    help: "Origins, beside the server's own, whose pages may connect, read answers of the HTTP API, and authenticate with the cookie. `*` lets in pages from anywhere that present a token of their own, without the cookie.",
  },
  trustedProxies: {
    key: "trusted-proxies",
    group: "Listening",
    kind: "list",
    default: [],
    expected: 'addresses and ranges such as "10.0.0.0/8" or "fd00::/8", separated by commas',
    accept: (text) => parseIpRange(text) !== null,
    help: "Proxies whose `Forwarded`, `X-Forwarded-For` and `X-Forwarded-Proto` say who the client is and whether it speaks TLS. From anybody else these headers count for nothing.",
  },
  echoForTests: {
    key: "echo-for-tests",
    group: "Listening",
    kind: "boolean",
    default: false,
    help: "Give raw WebSocket frames back to their sender at /echo, for conformance tests. Only on loopback.",
  },
  tlsCert: {
    key: "tls-cert",
    group: "Encryption",
    kind: "list",
    default: [],
    path: true,
    expected: "paths of PEM files, separated by commas",
    accept: isPath,
    help: "Certificates, each with its chain: the port then speaks TLS (wss, https) and nothing else. Of several, clients get the one that holds the name they ask for, or the first. Changed files are taken up within 20 seconds, on SIGHUP at once, without an end to connections.",
  },
  tlsKey: {
    key: "tls-key",
    group: "Encryption",
    kind: "list",
    default: [],
    path: true,
    expected: "paths of PEM files, separated by commas",
    accept: isPath,
    help: "Private keys of `tls-cert`, in the same order, without a passphrase.",
  },
  tlsClientCa: {
    key: "tls-client-ca",
    group: "Encryption",
    kind: "string",
    default: null,
    path: true,
    expected: "the path of a PEM file",
    accept: isPath,
    help: "Authorities of client certificates: whoever has none that one of them signed is refused, also for health and metrics. A credential is needed all the same.",
  },
  tlsMin: {
    key: "tls-min",
    group: "Encryption",
    kind: "enum",
    default: "1.2",
    values: ["1.2", "1.3"],
    help: "Oldest version of TLS that is spoken.",
  },
  requireTls: {
    key: "require-tls",
    group: "Encryption",
    kind: "boolean",
    default: false,
    help: "Refuse clients that do not speak TLS, to this port or to a proxy of `trusted-proxies` that says so. Health alone is told to this machine without it.",
  },
  hstsMs: {
    key: "hsts",
    group: "Encryption",
    kind: "duration",
    default: null,
    min: 0,
    max: 730 * day,
    multipleOf: second,
    help: "How long browsers are to speak TLS alone to this host, all of its ports (Strict-Transport-Security); 0 says nothing. Default: a year with `require-tls`, else nothing.",
  },
  store: {
    key: "store",
    group: "Store",
    kind: "string",
    default: null,
    path: true,
    expected: "the path of a file",
    accept: isPath,
    help: "File in which this server keeps its logs and the ids of publishes, so that they survive a restart and a power cut; made where there is none. Managed tokens are beside it, in the same path with `.tokens` added. Not with `redis` or `tokens`.",
  },
  durability: {
    key: "durability",
    group: "Store",
    kind: "enum",
    default: "full",
    values: ["full", "normal"],
    help: "With `store`, what a publish that was acknowledged survives: `full` a power cut, since it is acknowledged once it is on disk; `normal` the end of the process, but of a power cut not its last seconds. Subscribers are told by a new epoch.",
  },
  redis: {
    key: "redis",
    group: "Cluster",
    kind: "string",
    default: null,
    secret: true,
    expected: redisAddressForm,
    accept: (text) => parseRedisAddress(text) !== null,
    help: "Redis 7 that joins this instance with others to one tag space, and keeps its logs: one server, some servers of a Redis Cluster, or Sentinels and the name of the master that they watch. Without it, and without `store`, everything is kept in the memory of this process.",
  },
  slotLevels: {
    key: "slot-levels",
    group: "Cluster",
    kind: "integer",
    default: 1,
    min: 1,
    max: 8,
    help: "Levels of a tag that decide on which server of Redis it is kept, and where patterns are routed. All instances on one Redis have the same; it cannot be changed later without emptying Redis.",
  },
  adminToken: {
    key: "admin-token",
    group: "Credentials",
    kind: "string",
    default: null,
    secret: true,
    expected: "16 to 8192 printable ASCII characters, the first and last not a space",
    accept: (text) => text.length >= 16 && text.length <= 8192 && /^[!-~][ -~]*[!-~]$/.test(text),
    help: "Token that may do everything in application main: 16 to 8192 printable ASCII characters. Printed at the start; where no credential is configured one is made for the run.",
  },
  tokens: {
    key: "tokens",
    group: "Credentials",
    kind: "string",
    default: null,
    path: true,
    expected: "the path of a file",
    accept: isPath,
    help: "File of managed tokens, made by `tagcast token create`. A running server follows its changes. Without it tokens live in memory, with `redis` there, and with `store` beside it.",
  },
  loginTtlMs: {
    key: "login-ttl",
    group: "Credentials",
    kind: "duration",
    default: hour,
    min: 0,
    max: 30 * 24 * hour,
    help: "How long the cookie of a browser's login is good unless it is used, which renews it; 0 for no logins.",
  },
  loginMaxMs: {
    key: "login-max",
    group: "Credentials",
    kind: "duration",
    default: 12 * hour,
    min: 0,
    max: 365 * 24 * hour,
    help: "How long a login lasts at most, however often it is renewed; 0 for as long as that is.",
  },
  loginKey: {
    key: "login-key",
    group: "Credentials",
    kind: "string",
    default: null,
    secret: true,
    expected: "32 to 1024 printable ASCII characters",
    accept: (text) => /^[!-~]{32,1024}$/.test(text),
    help: "Key by which the cookies of logins are sealed, the same for all instances of a cluster: 32 or more random characters. Without it one is made for the run, so that a restart ends all logins; and with `redis` there are none.",
  },
  clockSkewMs: {
    key: "clock-skew",
    group: "Credentials",
    kind: "duration",
    default: 10 * second,
    min: 0,
    max: 10 * minute,
    help: "How far the clock of whoever signs JWTs may be off.",
  },
  authenticationFailuresMax: {
    key: "authentication-failures-max",
    group: "Limits",
    kind: "integer",
    default: 20,
    min: 0,
    max: 1_000_000,
    help: "Tokens from one address that may be not valid within a minute, before nothing that it presents is looked at until some of the minute is over; 0 for any number. Addresses of this machine have no bound, unless `trusted-proxies` is set.",
  },
  payloadMaxBytes: {
    key: "payload-max",
    group: "Limits",
    kind: "size",
    default: MiB,
    off: GiB,
    min: KiB,
    max: 64 * MiB,
    help: "Largest payload of one message.",
  },
  depthMax: {
    key: "depth-max",
    group: "Limits",
    kind: "integer",
    default: 64,
    off: depthOffMax,
    min: 1,
    max: 512,
    help: "Deepest nesting of arrays and maps in a payload.",
  },
  subscriptionsMax: {
    key: "subscriptions-max",
    group: "Limits",
    kind: "integer",
    default: 1024,
    off: Infinity,
    min: 1,
    max: 1_000_000,
    help: "Subscriptions of one connection.",
  },
  subscriptionsTotalMax: {
    key: "subscriptions-total-max",
    group: "Limits",
    kind: "integer",
    default: 1_000_000,
    off: Infinity,
    min: 1,
    max: 100_000_000,
    help: "Subscriptions of all connections, each 0.5 to 2 KiB. Beyond it subscribing is refused.",
  },
  patternLevelsMax: {
    key: "pattern-levels-max",
    group: "Limits",
    kind: "integer",
    default: 1_000_000,
    off: Infinity,
    min: 64,
    max: 100_000_000,
    help: "Levels of all patterns with wildcards together, what patterns begin with in common counted once; each some 500 bytes. Beyond it subscribing to further ones is refused.",
  },
  matchesMax: {
    key: "matches-max",
    group: "Limits",
    kind: "integer",
    default: 1_000_000,
    off: Infinity,
    min: 1000,
    max: 100_000_000,
    help: "Patterns remembered for all tags that several match, each 8 bytes. Beyond it the oldest tags are matched again when they are next published to.",
  },
  tagsMax: {
    key: "tags-max",
    group: "Limits",
    kind: "integer",
    default: 65_536,
    off: Infinity,
    min: 64,
    max: 100_000_000,
    help: "Tags of an application that are remembered though nobody subscribes to them by name, each 0.5 to 1.5 KiB. Beyond it the oldest are found anew when they are next published to.",
  },
  membersMax: {
    key: "presence-members-max",
    group: "Limits",
    kind: "integer",
    default: 200_000,
    off: Infinity,
    min: 1,
    max: 10_000_000,
    help: "Members of all tags with presence that are connected to this instance, each 0.5 to 1 KiB. Beyond it subscribing to such tags is refused.",
  },
  requestsMax: {
    key: "requests-max",
    group: "Limits",
    kind: "integer",
    default: 256,
    off: Infinity,
    min: 1,
    max: 1_000_000,
    help: "Requests of one connection that wait for the broker at one time. Beyond it nothing more is read from it until some are answered.",
  },
  connectionsMax: {
    key: "connections-max",
    group: "Limits",
    kind: "integer",
    default: 0,
    min: 0,
    max: 10_000_000,
    help: "Connections at one time; 0 derives it from the limit of open file descriptors.",
  },
  connectionsPerAddress: {
    key: "connections-per-address",
    group: "Limits",
    kind: "integer",
    default: 1000,
    min: 0,
    max: 10_000_000,
    help: "Connections of one address at one time; 0 for any number. Limits per address hold for loopback only where `trusted-proxies` is given. Behind a proxy, name it there: all clients have its address otherwise.",
  },
  acceptRate: {
    key: "accept-rate",
    group: "Limits",
    kind: "integer",
    default: 5000,
    min: 0,
    max: 1_000_000,
    help: "Connections accepted a second, in all; 0 for any number. As this and every other rate of connections and requests, it allows ten seconds' worth at once.",
  },
  acceptRatePerAddress: {
    key: "accept-rate-per-address",
    group: "Limits",
    kind: "integer",
    default: 50,
    min: 0,
    max: 1_000_000,
    help: "Connections accepted a second from one address, whether or not they get in; 0 for any number.",
  },
  requestRatePerAddress: {
    key: "request-rate-per-address",
    group: "Limits",
    kind: "integer",
    default: 2000,
    min: 0,
    max: 1_000_000,
    help: "HTTP requests a second from one address, beside those that open a connection and those for health; 0 for any number.",
  },
  addressesMax: {
    key: "addresses-max",
    group: "Limits",
    kind: "integer",
    default: 100_000,
    min: 1,
    max: 10_000_000,
    help: "Addresses that are counted at one time, each some 500 bytes. Beyond it those without a connection are forgotten, the longest unseen first; where all have one, others are refused.",
  },
  ipv6Prefix: {
    key: "ipv6-prefix",
    group: "Limits",
    kind: "integer",
    default: 64,
    min: 16,
    max: 128,
    help: "Bits of an IPv6 address that count as one address: who has one usually has all that begin with the same 64.",
  },
  descriptorsMax: {
    key: "descriptors-max",
    group: "Limits",
    kind: "integer",
    default: null,
    min: 0,
    max: 10_000_000,
    help: "Open file descriptors at which the server listens no more until there are fewer: silent connections take one too. Default: 97 % of the limit of the process; 0 for no such mark.",
  },
  logsMaxBytes: {
    key: "logs-bytes-max",
    group: "Limits",
    kind: "size",
    default: 256 * MiB,
    off: Infinity,
    min: MiB,
    max: 1024 * GiB,
    help: "Memory that the logs of all tags may take together; with `store` bytes of its file. The oldest messages of the largest logs go first.",
  },
  logsMax: {
    key: "logs-max",
    group: "Limits",
    kind: "integer",
    default: 100_000,
    off: Infinity,
    min: 1,
    max: 10_000_000,
    help: "Tags that may have a log at one time.",
  },
  idempotencyKeysMax: {
    key: "idempotency-keys-max",
    group: "Limits",
    kind: "integer",
    default: 500_000,
    off: Infinity,
    min: 1,
    max: 10_000_000,
    help: "Ids of publishes that are remembered at one time, each some 250 bytes. Beyond it the tags with the most lose their oldest before idempotency-window ends.",
  },
  backlogMaxBytes: {
    key: "backlog-max",
    group: "Limits",
    kind: "size",
    default: 64 * MiB,
    off: Infinity,
    min: 4 * MiB,
    max: 64 * GiB,
    help: "Bytes of messages that may wait to be handed to the network, where more is published than can be sent at once. From a quarter of it publishers are not read from; beyond it messages are dropped, which is told by a gap.",
  },
  unreadMaxBytes: {
    key: "unread-max",
    group: "Limits",
    kind: "size",
    default: 512 * MiB,
    off: Infinity,
    min: 8 * MiB,
    max: 1024 * GiB,
    help: "Bytes kept for all clients that do not read what is sent to them. Beyond it those with the most are disconnected as too slow.",
  },
  bodiesMaxBytes: {
    key: "bodies-max",
    group: "Limits",
    kind: "size",
    default: 128 * MiB,
    off: Infinity,
    min: MiB,
    max: 64 * GiB,
    help: "Bytes of all request bodies that are being received. Beyond it requests are refused with 503.",
  },
  requestDeadlineMs: {
    key: "request-deadline",
    group: "Times",
    kind: "duration",
    default: 10 * second,
    min: 0,
    max: 4 * minute,
    multipleOf: second,
    help: "How long a new connection may take for TLS and the head of its first request, to some 4 seconds; 0 for ever.",
  },
  authenticationDeadlineMs: {
    key: "authentication-deadline",
    group: "Times",
    kind: "duration",
    default: 10 * second,
    off: Infinity,
    min: 100,
    max: 10 * minute,
    help: "How long a connection may take to present a token.",
  },
  pingIntervalMs: {
    key: "ping-interval",
    group: "Times",
    kind: "duration",
    default: 25 * second,
    off: Infinity,
    min: second,
    max: 15 * minute,
    multipleOf: second,
    help: "Silence after which a connection is pinged, unless its client asks for another.",
  },
  slowDeadlineMs: {
    key: "slow-deadline",
    group: "Times",
    kind: "duration",
    default: 30 * second,
    off: Infinity,
    min: 100,
    max: hour,
    help: "How long a slow subscriber may stay undrained before it is disconnected.",
  },
  bodyDeadlineMs: {
    key: "body-deadline",
    group: "Times",
    kind: "duration",
    default: 30 * second,
    off: Infinity,
    min: 100,
    max: hour,
    help: "How long the body of a request may take to arrive, and a second more for each 64 KiB that it may have.",
  },
  idempotencyWindowMs: {
    key: "idempotency-window",
    group: "Times",
    kind: "duration",
    default: 2 * minute,
    min: second,
    max: 24 * hour,
    help: "How long the id of a publish is remembered, so that a repeated one is not a second message.",
  },
  shutdownTimeoutMs: {
    key: "shutdown-timeout",
    group: "Times",
    kind: "duration",
    default: 10 * second,
    min: 0,
    max: 10 * minute,
    help: "Longest time to take leave of the connections on SIGTERM or SIGINT. Keep it below what the supervisor waits.",
  },
  logLevel: {
    key: "log-level",
    group: "Logs",
    kind: "enum",
    default: "info",
    values: ["trace", "debug", "info", "warn", "error", "silent"],
    help: "Least severity to log. Logs go to standard error.",
  },
  logFormat: {
    key: "log-format",
    group: "Logs",
    kind: "enum",
    default: "auto",
    values: ["json", "pretty", "auto"],
    help: "One JSON object a line, or text for people; auto is pretty on a terminal.",
  },
} as const satisfies { readonly [F in ScalarField]: ValueSpec & OptionText & { readonly default: Scalars[F] } };

/** The same rows as a list, in the table's order. */
export const optionRows = Object.entries(options) as readonly (readonly [ScalarField, Option])[];

/** The option that names the file itself; it has a flag and a variable, and no place in the file. */
export const configFileOption = {
  key: "config",
  kind: "string",
  path: true,
  expected: "the path of a TOML file",
  accept: isPath,
  default: null,
  group: "Listening",
  help: "TOML file of settings. Its values give way to variables, and these to flags.",
} as const satisfies Option;

/** The configuration with what holds in place of each limit that is turned off. */
export function inForce(config: Config): Config {
  const changed = optionRows.flatMap(([field, option]) =>
    "off" in option && config[field] === 0 ? [[field, option.off] as const] : [],
  );
  return { ...config, ...Object.fromEntries(changed) };
}

export function flagOf(key: string): string {
  return `--${key}`;
}

export function variableOf(key: string): string {
  return `TAGCAST_${key.toUpperCase().replaceAll("-", "_")}`;
}

function isPath(text: string): boolean {
  return text.length > 0 && text.length <= 4096 && !text.includes("\0");
}
