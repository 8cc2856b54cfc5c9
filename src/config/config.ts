/**
 * What configuration comes to: one frozen value, made by `load.ts`. Each part of the server is handed only its slice. A limit
 * that is turned off is 0 here; `inForce` of `options.ts` puts in its place what then holds.
 */
import type { KeyConfig } from "../core/key-config.ts";
import type { Role } from "../core/role.ts";
import type { TagRule } from "../core/tag-rule.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

export interface Config {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Let other processes of this machine listen on the same port. */
  readonly reusePort: boolean;
  /** Paths of certificates and of their keys, as many; none: without TLS. */
  readonly tlsCert: readonly string[];
  readonly tlsKey: readonly string[];
  /** Path of the authorities of client certificates; null: clients need none. */
  readonly tlsClientCa: string | null;
  readonly tlsMin: "1.2" | "1.3";
  readonly requireTls: boolean;
  /** Whole seconds; null: a year with `requireTls`, else 0. */
  readonly hstsMs: number | null;
  /** At least one. */
  readonly roles: readonly Role[];
  /** Path of the file that logs are kept in, or null. */
  readonly store: string | null;
  /** With a store: what a publish that was acknowledged survives. */
  readonly durability: "full" | "normal";
  /** Where Redis is, with its password; null: memory, or the store. */
  readonly redis: string | null;
  readonly slotLevels: number;
  readonly adminToken: string | null;
  /** Path of the file of managed tokens, or null: kept in memory. */
  readonly tokens: string | null;
  /** Path of a file, `stderr`, or null: lines of the log. */
  readonly auditLog: string | null;
  readonly logLevel: LogLevel;
  /** `auto`: pretty where standard error is a terminal, else JSON. */
  readonly logFormat: "json" | "pretty" | "auto";
  readonly compression: boolean;
  /** Addresses and ranges of proxies whose headers count. */
  readonly trustedProxies: readonly string[];
  /** Of one address within a minute; 0: any number. */
  readonly authenticationFailuresMax: number;
  readonly payloadMaxBytes: number;
  /** Nesting of arrays and maps in a payload. */
  readonly depthMax: number;
  /** Per connection. */
  readonly subscriptionsMax: number;
  /** Over all connections. */
  readonly subscriptionsTotalMax: number;
  /** Levels of all patterns with wildcards. */
  readonly patternLevelsMax: number;
  /** Patterns remembered for all tags that several match. */
  readonly matchesMax: number;
  /** Tags of an application that are remembered though nobody subscribes to them by name. */
  readonly tagsMax: number;
  /** Members of tags with presence on this instance. */
  readonly membersMax: number;
  /** Requests of one connection that wait for the broker. */
  readonly requestsMax: number;
  /** Bytes of one connection that came while it was not read from. */
  readonly heldMaxBytes: number;
  /** Bytes of messages that may wait for a later turn. */
  readonly backlogMaxBytes: number;
  /** Bytes kept for all clients that do not read. */
  readonly unreadMaxBytes: number;
  /** Bytes of all request bodies that are being received. */
  readonly bodiesMaxBytes: number;
  /** How long the body of a request may take, beside what its size allows. */
  readonly bodyDeadlineMs: number;
  /** 0: derived from the limit of open file descriptors. */
  readonly connectionsMax: number;
  /** Open file descriptors at which nobody listens; 0: no such mark; null: derived from the limit. */
  readonly descriptorsMax: number | null;
  /** From here on to `requestRatePerAddress` 0 is no limit. Per address or IPv6 prefix, at one time. */
  readonly connectionsPerAddress: number;
  /** Connections a second, in all. */
  readonly acceptRate: number;
  /** Connections a second. */
  readonly acceptRatePerAddress: number;
  /** Requests a second that open no connection. */
  readonly requestRatePerAddress: number;
  /** Addresses that are counted at one time. */
  readonly addressesMax: number;
  /** From here on to `acceptRatePerToken` a second, and 0 is no limit. What each counts, `session/budget.ts` says. */
  readonly messageRatePerConnection: number;
  readonly byteRatePerConnection: number;
  readonly subscribeRatePerConnection: number;
  readonly errorRatePerConnection: number;
  readonly messageRatePerToken: number;
  readonly byteRatePerToken: number;
  readonly subscribeRatePerToken: number;
  readonly errorRatePerToken: number;
  readonly acceptRatePerToken: number;
  /** A minute; 0: no limit. */
  readonly loginRatePerToken: number;
  /** How long a connection may flood before it is ended; 0: for ever. */
  readonly floodDeadlineMs: number;
  /** Bits of an IPv6 address that count as one address. */
  readonly ipv6Prefix: number;
  /** Bytes that all logs together may take. */
  readonly logsMaxBytes: number;
  /** Number of logs, over all applications. */
  readonly logsMax: number;
  readonly idempotencyWindowMs: number;
  /** Keys remembered at one time, over all applications. */
  readonly idempotencyKeysMax: number;
  readonly authenticationDeadlineMs: number;
  /** Whole seconds. */
  readonly pingIntervalMs: number;
  /** How long a slow subscriber may stay undrained before it is closed. */
  readonly slowDeadlineMs: number;
  readonly shutdownTimeoutMs: number;
  /** Origins, beside the server's own, whose pages may connect and use the cookie; `*`: all may connect. */
  readonly allowedOrigins: readonly string[];
  readonly echoForTests: boolean;
  /** How long the cookie of a login is good; 0: no logins. */
  readonly loginTtlMs: number;
  /** How long a login lasts; 0: without end. */
  readonly loginMaxMs: number;
  /** Null: made for the run. */
  readonly loginKey: string | null;
  /** Tolerance in the times that tokens carry. */
  readonly clockSkewMs: number;
  /** Always has `main`. */
  readonly applications: ReadonlyMap<string, ApplicationConfig>;
}

export interface ApplicationConfig {
  readonly name: string;
  readonly rules: readonly TagRule[];
  readonly keys: readonly KeyConfig[];
}

/** The application of everything that names none. */
export const mainApplication = "main";
