/** Arguments that the forms of `tagcast token` share: grants, durations, numbers, the path of the file. */
import { tokensBeside } from "../auth/file-tokens.ts";
import { redisAddressForm } from "../core/redis-address.ts";
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { options } from "../config/options.ts";
import { parseValue, quoted } from "../config/values.ts";
import { type GrantMap, isGrantPattern, type Operation, operations } from "../core/grants.ts";
import { UsageError } from "./help.ts";
import type { CliIo } from "./io.ts";

type GrantWord = GrantMap[string][number];
const grantWords: readonly GrantWord[] = [...operations, "read", "readwrite"] satisfies (Operation | GrantWord)[];

const day = 86_400_000;
const longestMs = 100 * 365 * day;

/** `parseArgs`, with its complaints as `UsageError`. */
export function parseArguments<T extends ParseArgsOptionsConfig>(
  argv: readonly string[],
  named: T,
  positionals: readonly [min: number, max: number],
) {
  const parsed = parse(argv, named);
  const count = parsed.positionals.length;
  if (count < positionals[0]) throw new UsageError("an argument is missing");
  if (count > positionals[1]) throw new UsageError(`unexpected argument ${quoted(parsed.positionals[positionals[1]])}`);
  return parsed;
}

function parse<T extends ParseArgsOptionsConfig>(argv: readonly string[], named: T) {
  try {
    return parseArgs({ args: [...argv], options: named, allowPositionals: true, strict: true });
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

/** `pattern=op,op`, repeated, as one map; undefined where none was given. Several for one pattern add up. */
export function parseGrants(flag: string, texts: readonly string[] | undefined): GrantMap | undefined {
  if (texts === undefined) return undefined;
  const grants = new Map<string, Set<GrantWord>>();
  for (const text of texts) {
    // A tag may hold "=", an operation does not.
    const at = text.lastIndexOf("=");
    const pattern = text.slice(0, Math.max(at, 0));
    if (at < 0) throw new UsageError(`${flag} must be pattern=operation,operation, got ${quoted(text)}`);
    if (!isGrantPattern(pattern)) throw new UsageError(`${flag}: not a valid pattern: ${quoted(pattern)}`);
    const words = grants.get(pattern) ?? new Set();
    for (const word of text.slice(at + 1).split(",")) words.add(grantWord(flag, word.trim()));
    grants.set(pattern, words);
  }
  return Object.fromEntries([...grants].map(([pattern, words]) => [pattern, [...words]]));
}

function grantWord(flag: string, word: string): GrantWord {
  const known = grantWords.find((candidate) => candidate === word);
  if (known === undefined) throw new UsageError(`${flag}: ${quoted(word)} is not one of ${grantWords.join(", ")}`);
  return known;
}

/** Milliseconds of a duration such as `30d`; a bare number could mean seconds or milliseconds and is refused. */
export function parseDuration(flag: string, text: string): number {
  const value = /[a-z]$/i.test(text) ? parseValue({ kind: "duration", min: 1, max: longestMs }, text) : undefined;
  if (typeof value !== "number")
    throw new UsageError(`${flag} must be a duration such as 90s, 1h or 30d, got ${quoted(text)}`);
  return value;
}

/** Null for `never`, undefined where nothing was given. */
export function parseExpiry(text: string | undefined, nowMs: number): number | null | undefined {
  if (text === undefined) return undefined;
  return text === "never" ? null : nowMs + parseDuration("--expires", text);
}

/** Null for `unlimited`, undefined where nothing was given. */
export function parseConnections(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === "unlimited") return null;
  const value = parseValue({ kind: "integer", min: 1, max: 0xffff_ffff }, text);
  if (typeof value !== "number") throw new UsageError(`--connections must be a number from 1, got ${quoted(text)}`);
  return value;
}

/** Null for `default`, 0 for `unlimited`, undefined where nothing was given. */
export function parseRate(flag: string, text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === "default") return null;
  if (text === "unlimited") return 0;
  const value = parseValue({ kind: "size", min: 1, max: 0xffff_ffff }, text);
  if (typeof value !== "number") throw new UsageError(`${flag} must be a number from 1, got ${quoted(text)}`);
  return value;
}

/** Where managed tokens are kept. */
export type TokenPlace = { readonly path: string; readonly url?: undefined } | { readonly url: string };

const places = {
  tokens: "TAGCAST_TOKENS",
  store: "TAGCAST_STORE",
  redis: "TAGCAST_REDIS",
} as const;

type PlaceFlags = { readonly [P in keyof typeof places]?: string | undefined };

/** From the flags, or else the environment: a file, what is beside a store, or Redis. */
export function tokenPlace(flags: PlaceFlags, io: CliIo): TokenPlace {
  const names = ["tokens", "store", "redis"] as const;
  const isFlagged = names.some((name) => flags[name] !== undefined);
  const given = names.flatMap((name) => {
    const text = (isFlagged ? flags[name] : io.env[places[name]]) ?? "";
    return text === "" ? [] : [[name, text] as const];
  });
  const [first, second] = given;
  if (first === undefined)
    throw new UsageError(
      "say where the tokens are: --tokens PATH or TAGCAST_TOKENS for a file, --store PATH or TAGCAST_STORE for those of a store, --redis URL or TAGCAST_REDIS for a cluster",
    );
  if (second !== undefined) {
    const named = given.map(([name]) => `--${name} (${places[name]})`);
    throw new UsageError(`managed tokens are in one place: take all but one away of ${named.join(", ")}`);
  }
  const [name, text] = first;
  if (name === "redis") return { url: redisUrl(text) };
  return { path: name === "store" ? tokensBeside(text) : text };
}

/** @throws UsageError */
export function redisUrl(text: string): string {
  if (parseValue(options.redis, text) === undefined) throw new UsageError(`--redis must be ${redisAddressForm}`);
  return text;
}
