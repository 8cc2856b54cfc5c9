/**
 * File, environment and command line → one frozen `Config`. All problems are gathered before any is told. Options
 * are known from `options.ts` alone; here are only the rules between them.
 */
import { dirname, isAbsolute, join } from "node:path";
import { readApplications } from "./applications.ts";
import type { Config } from "./config.ts";
import { type ReadFile, readConfigFile } from "./file.ts";
import { parseFlags } from "./flags.ts";
import { isLoopback } from "./hosts.ts";
import { checkEncryption } from "./encryption.ts";
import { configFileOption, flagOf, type Option, optionRows, type Scalars, variableOf } from "./options.ts";
import { ProblemList, suggestion } from "./problems.ts";
import { unexpected } from "./sections.ts";
import { isTable, parseValue, type Value } from "./values.ts";

/** Where configuration comes from; the later given wins: file, environment, flags. */
export interface ConfigSources {
  /** Flags alone, as they follow the command. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: the file system. */
  readonly readFile?: ReadFile;
}

/** What `resolveConfig` found. */
export interface ResolvedConfig {
  readonly config: Config;
  /** Key of each option → `default`, the path of the file, the variable, or the flag that its value came from. */
  readonly origins: ReadonlyMap<string, string>;
  /** Path of the configuration file, or null. */
  readonly file: string | null;
}

/** @throws ConfigError (rejects) with all problems. */
export async function loadConfig(sources: ConfigSources): Promise<Config> {
  return (await resolveConfig(sources)).config;
}

/** As `loadConfig`, and where each value came from. */
export async function resolveConfig({ argv, env, readFile = readText }: ConfigSources): Promise<ResolvedConfig> {
  const problems = new ProblemList();
  const flags = parseFlags(argv, problems);
  const named = findFile(flags, env, problems);
  const file = named === null ? {} : await readConfigFile(named.path, named.origin, readFile, problems);
  const fileOrigin = named?.path ?? "";
  const resolvePath = (value: string) => (isAbsolute(value) ? value : join(dirname(fileOrigin), value));

  if (file !== null) checkNames(file, fileOrigin, problems);
  const layers: Layers = { flags, env, file: file ?? {}, fileOrigin };
  const origins = new Map<string, string>();
  const values: Record<string, Value> = {};
  for (const [field, option] of optionRows) {
    const { value, origin } = settle(option, layers, problems);
    origins.set(option.key, origin);
    const isKeyword = "keyword" in option && value === option.keyword;
    const isFilePath = origin === fileOrigin && "path" in option && !isKeyword;
    values[field] = isFilePath ? resolvePaths(value, resolvePath) : value;
  }
  // Every field of the table was just filled with a value that its row accepts.
  const scalars = values as unknown as Scalars;
  const applications = await readApplications(file ?? {}, fileOrigin, { readFile, resolvePath, problems });
  checkStore(scalars, origins, problems);
  checkLocal(scalars, applications, { redis: origins.get("redis") ?? "", file: fileOrigin }, problems);
  checkEncryption(scalars, origins, problems);
  checkHost(scalars, origins, problems, file === null || hasCredential(layers));
  problems.throwIfAny();
  return { config: freeze({ ...scalars, applications }), origins, file: named?.path ?? null };
}

function resolvePaths(value: Value, resolvePath: (path: string) => string): Value {
  if (typeof value === "string") return resolvePath(value);
  return Array.isArray(value) ? value.map((path: string) => resolvePath(path)) : value;
}

interface Layers {
  readonly flags: ReadonlyMap<string, string>;
  readonly env: ConfigSources["env"];
  readonly file: Readonly<Record<string, unknown>>;
  readonly fileOrigin: string;
}

interface Given {
  readonly raw: unknown;
  readonly origin: string;
}

/** What each layer gives, the one that counts first. An empty variable counts as none: that is what `X=` in a compose file comes to. */
function find(key: string, { flags, env, file, fileOrigin }: Layers): Given[] {
  const given: Given[] = [];
  if (flags.has(key)) given.push({ raw: flags.get(key), origin: flagOf(key) });
  if (env[variableOf(key)]) given.push({ raw: env[variableOf(key)], origin: variableOf(key) });
  if (Object.hasOwn(file, key)) given.push({ raw: file[key], origin: fileOrigin });
  return given;
}

/** The value that counts, or the default where none does or it has a problem. Overridden ones are checked too. */
function settle(
  option: Option,
  layers: Layers,
  problems: ProblemList,
): { readonly value: Value; readonly origin: string } {
  const given = find(option.key, layers);
  const values = given.map(({ raw, origin }) => {
    const value = parseValue(option, raw);
    if (value === undefined) problems.add(option.key, origin, unexpected(option, raw) + portHint(option.key, raw));
    return value;
  });
  return { value: values[0] ?? option.default, origin: given[0]?.origin ?? "default" };
}

/** Kubernetes sets TAGCAST_PORT=tcp://… in every pod beside a Service called tagcast. */
function portHint(key: string, raw: unknown): string {
  if (key !== "port" || !String(raw).startsWith("tcp://")) return "";
  return "; Kubernetes sets this for a Service of that name: rename it or set enableServiceLinks: false";
}

function findFile(
  flags: Layers["flags"],
  env: Layers["env"],
  problems: ProblemList,
): { readonly path: string; readonly origin: string } | null {
  const { value, origin } = settle(configFileOption, { flags, env, file: {}, fileOrigin: "" }, problems);
  return typeof value === "string" ? { path: value, origin } : null;
}

function checkNames(file: Readonly<Record<string, unknown>>, origin: string, problems: ProblemList): void {
  const known = [...optionRows.map(([, option]) => option.key), "tags", "keys", "applications"];
  for (const name of Object.keys(file)) {
    if (name === configFileOption.key) problems.add(name, origin, "a file cannot name another: use --config");
    else if (!known.includes(name)) problems.add(name, origin, `unknown key${suggestion(name, known)}`);
  }
}

/** Whether a credential was meant to be configured; one that has a problem counts, since that is told already. */
function hasCredential(layers: Layers): boolean {
  const given = (key: string) => find(key, layers).length > 0;
  const applications = layers.file["applications"];
  const tables = [layers.file, ...(isTable(applications) ? Object.values(applications) : [])];
  const isStored = given("tokens") || given("store") || given("redis");
  return given("admin-token") || isStored || tables.some((table) => isTable(table) && isNonEmpty(table["keys"]));
}

function isNonEmpty(raw: unknown): boolean {
  return Array.isArray(raw) && raw.length > 0;
}

/** Logs are in one place, and managed tokens are. */
function checkStore(
  { tokens, store, redis }: Scalars,
  origins: ReadonlyMap<string, string>,
  problems: ProblemList,
): void {
  const from = (key: string) => origins.get(key) ?? "";
  const refuse = (key: string, where: string) => problems.add(key, from(key), `${where}: take one of the two away`);
  if (store !== null && redis !== null) refuse("store", `with redis (${from("redis")}) logs are kept there`);
  if (tokens === null) return;
  if (redis !== null)
    refuse("tokens", `with redis (${from("redis")}) managed tokens are kept there, for all instances`);
  else if (store !== null) refuse("tokens", `with store (${from("store")}) managed tokens are kept beside it`);
}

/** A log of one instance would be another one wherever a client reconnects. */
function checkLocal(
  { redis }: Scalars,
  applications: Config["applications"],
  origins: { readonly redis: string; readonly file: string },
  problems: ProblemList,
): void {
  if (redis === null) return;
  for (const { pattern, local, history, presence } of [...applications.values()].flatMap(({ rules }) => rules)) {
    if (!local || (history === null && !presence)) continue;
    const kept = history === null ? "presence" : "history or retain";
    const reason = `the rule for ${JSON.stringify(pattern)} has local = true and ${kept}, but with redis (${origins.redis})`;
    problems.add("tags", origins.file, `${reason} that is kept there, for all instances: take one of the two away`);
  }
}

function checkHost(
  { host, echoForTests }: Scalars,
  origins: ReadonlyMap<string, string>,
  problems: ProblemList,
  credential: boolean,
): void {
  if (isLoopback(host)) return;
  const reachable = `${JSON.stringify(host)} can be reached from other machines`;
  if (!credential) {
    const remedy = "give --admin-token, --tokens, --store, --redis or [[keys]] in the file, or listen on 127.0.0.1";
    problems.add("host", origins.get("host") ?? "", `${reachable} and no credential is configured: ${remedy}`);
  }
  if (echoForTests) {
    problems.add("echo-for-tests", origins.get("echo-for-tests") ?? "", `only on loopback, but host ${reachable}`);
  }
}

function refuse(): never {
  throw new TypeError("The configuration cannot be changed");
}

/** Freezes what it is given, to the bottom. */
function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Map) {
    for (const item of value.values()) freeze(item);
    Object.assign(value, { set: refuse, delete: refuse, clear: refuse });
  } else {
    for (const item of Object.values(value)) freeze(item);
  }
  return Object.freeze(value);
}

function readText(path: string): Promise<string> {
  return Bun.file(path).text();
}
