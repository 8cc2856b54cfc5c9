/** `tagcast token create|list|edit|revoke`: managed tokens in a file, beside a store, or in the Redis of a cluster. */
import { openFileTokens } from "../auth/file-tokens.ts";
import { SharedTokens } from "../auth/shared-tokens.ts";
import { openRedisTool, type RedisTool } from "../broker/redis/tool.ts";
import { mainApplication } from "../config/config.ts";
import { quoted } from "../config/values.ts";
import type { GrantMap } from "../core/grants.ts";
import { silentLogger } from "../core/logger.ts";
import { type ManagedToken, type RevocationDraft, type TokenStore, TokenStoreError } from "../core/token-store.ts";
import { systemClock } from "../lib/clock.ts";
import { printable } from "../lib/printable.ts";
import { exitCodes, type Help, UsageError } from "./help.ts";
import type { CliIo } from "./io.ts";
import {
  parseArguments,
  parseConnections,
  parseExpiry,
  parseGrants,
  parseRate,
  type TokenPlace,
  tokenPlace,
} from "./token-arguments.ts";

const fileRow = ["--tokens PATH", "The token file; or TAGCAST_TOKENS."] as const;
const storeRow = ["--store PATH", "The store of a server, which has its tokens beside it; or TAGCAST_STORE."] as const;
const redisRow = ["--redis URL", "The Redis of a cluster, which keeps its tokens; or TAGCAST_REDIS."] as const;
const jsonRow = ["--json", "Print JSON."] as const;
const grantRow = [
  "--grant PATTERN=OP,OP",
  "What it may do; repeatable. Operations: subscribe, publish, history, presence, admin; read is all but publish and admin, readwrite all but admin. Patterns may hold ${client} and ${sub}.",
] as const;
const denyRow = ["--deny PATTERN=OP,OP", "What it may not do whatever is granted; repeatable."] as const;
const expiresRow = ["--expires DURATION", "When it ends, from now: 90s, 1h, 30d; never (the default)."] as const;
const connectionsRow = ["--connections N", "Connections it may hold at once; unlimited (the default)."] as const;
const rateRows = [
  [
    "--messages-per-second N",
    "Messages that all its connections and requests may send in a second, to one instance; unlimited; or default: as the server is configured.",
  ],
  ["--bytes-per-second N", "Likewise bytes: 500000, 64KiB, 1MiB."],
] as const;
const appRow = ["--app NAME", `The application; default ${mainApplication}.`] as const;

const placeOptions = {
  tokens: { type: "string" },
  store: { type: "string" },
  redis: { type: "string" },
  json: { type: "boolean" },
} as const;
const rightsOptions = {
  name: { type: "string" },
  grant: { type: "string", multiple: true },
  deny: { type: "string", multiple: true },
  expires: { type: "string" },
  connections: { type: "string" },
  "messages-per-second": { type: "string" },
  "bytes-per-second": { type: "string" },
} as const;

export const createHelp: Help = {
  usage: ["token create --grant PATTERN=OP,OP [options]"],
  about:
    "Makes a token and prints its secret, which is kept nowhere and cannot be had again. The rest goes to standard error.",
  options: [
    grantRow,
    denyRow,
    ["--name TEXT", "What people call it."],
    expiresRow,
    connectionsRow,
    ...rateRows,
    appRow,
    ["--client NAME", "Fixes the client name of its connections."],
    ["--subject TEXT", "Whom it speaks for; default token: and its id."],
    fileRow,
    storeRow,
    redisRow,
    jsonRow,
  ],
  examples: ["tagcast token create --tokens tokens.json --name press-7 --grant 'plant/7/#=readwrite' --expires 30d"],
};

export async function create(argv: readonly string[], io: CliIo): Promise<number> {
  const options = {
    ...placeOptions,
    ...rightsOptions,
    app: { type: "string" },
    client: { type: "string" },
    subject: { type: "string" },
  } as const;
  const { values } = parseArguments(argv, options, [0, 0]);
  const grants = parseGrants("--grant", values.grant);
  if (grants === undefined) throw new UsageError("say what it may do: --grant PATTERN=OP,OP");
  const draft = {
    app: values.app ?? mainApplication,
    name: values.name ?? "unnamed",
    subject: values.subject,
    client: values.client,
    grants,
    deny: parseGrants("--deny", values.deny),
    expiresAtMs: parseExpiry(values.expires, systemClock.wallMs()),
    ...parseLimits(values),
  };
  return withStore(tokenPlace(values, io), io, async (store) => {
    const { token, secret } = await store.create(draft);
    io.out(values.json ? JSON.stringify({ ...shown(token), secret }) : secret);
    if (!values.json) io.err(`Created token ${token.id} (${printable(token.name)}). Its secret is not shown again.`);
    return exitCodes.ok;
  });
}

interface LimitTexts {
  readonly connections?: string | undefined;
  readonly "messages-per-second"?: string | undefined;
  readonly "bytes-per-second"?: string | undefined;
}

function parseLimits(texts: LimitTexts) {
  return {
    connectionsMax: parseConnections(texts.connections),
    messagesPerSecond: parseRate("--messages-per-second", texts["messages-per-second"]),
    bytesPerSecond: parseRate("--bytes-per-second", texts["bytes-per-second"]),
  };
}

export const listHelp: Help = {
  usage: ["token list [options]"],
  about: "Lists the tokens. Secrets are kept nowhere.",
  options: [fileRow, storeRow, redisRow, jsonRow],
};

export async function list(argv: readonly string[], io: CliIo): Promise<number> {
  const { values } = parseArguments(argv, placeOptions, [0, 0]);
  return withStore(tokenPlace(values, io), io, async (store) => {
    const tokens = await store.list();
    if (values.json) io.out(JSON.stringify(tokens.map(shown), null, 2));
    else if (tokens.length === 0) io.err("There are no tokens.");
    for (const token of values.json ? [] : tokens) io.out(described(token));
    return exitCodes.ok;
  });
}

export const editHelp: Help = {
  usage: ["token edit ID [options]"],
  about:
    "Changes a token. What is given replaces what it had: all its grants where --grant is given, all its denials where --deny is. Open connections are held to it at once.",
  options: [
    grantRow,
    denyRow,
    ["--clear-deny", "Deny nothing any more."],
    ["--name TEXT", "What people call it."],
    ["--expires DURATION", "When it ends, from now, or never."],
    ["--connections N", "Connections it may hold at once, or unlimited."],
    ...rateRows,
    fileRow,
    storeRow,
    redisRow,
    jsonRow,
  ],
  examples: ["tagcast token edit 5f0c61d2a9be --grant 'plant/7/#=read' --expires 1h"],
};

export async function edit(argv: readonly string[], io: CliIo): Promise<number> {
  const options = { ...placeOptions, ...rightsOptions, "clear-deny": { type: "boolean" } } as const;
  const { values, positionals } = parseArguments(argv, options, [1, 1]);
  const id = positionals[0] ?? "";
  if (values["clear-deny"] && values.deny) throw new UsageError("--deny and --clear-deny exclude each other");
  const patch = {
    name: values.name,
    grants: parseGrants("--grant", values.grant),
    deny: values["clear-deny"] ? {} : parseGrants("--deny", values.deny),
    expiresAtMs: parseExpiry(values.expires, systemClock.wallMs()),
    ...parseLimits(values),
  };
  if (Object.values(patch).every((value) => value === undefined)) throw new UsageError("say what is to change");
  return withStore(tokenPlace(values, io), io, async (store) => {
    const token = await store.edit(id, patch);
    if (token === null) return unknown(id, io);
    io.out(values.json ? JSON.stringify(shown(token)) : described(token));
    return exitCodes.ok;
  });
}

export const revokeHelp: Help = {
  usage: ["token revoke ID [options]", "token revoke --jti TEXT [options]", "token revoke --subject TEXT [options]"],
  about:
    "Ends a managed token, a JWT by its jti, or whatever was issued to a subject up to now. Open connections end at once. Revocations are kept for 30 days at least.",
  options: [
    ["--jti TEXT", "The jti claim of the JWT."],
    ["--subject TEXT", "The sub claim, or the subject of a managed token."],
    ["--issued-before TIME", "Only what was issued before: 2031-05-01T12:00:00Z."],
    appRow,
    fileRow,
    storeRow,
    redisRow,
    jsonRow,
  ],
  examples: ["tagcast token revoke 5f0c61d2a9be", "tagcast token revoke --subject press-7 --app acme"],
};

export async function revoke(argv: readonly string[], io: CliIo): Promise<number> {
  const options = {
    ...placeOptions,
    app: { type: "string" },
    jti: { type: "string" },
    subject: { type: "string" },
    "issued-before": { type: "string" },
  } as const;
  const { values, positionals } = parseArguments(argv, options, [0, 1]);
  const [id] = positionals;
  const isIssued = values.jti !== undefined || values.subject !== undefined;
  if (isIssued === (id !== undefined)) throw new UsageError("say an id, or --jti, or --subject");
  if (!isIssued && (values.app ?? values["issued-before"]) !== undefined)
    throw new UsageError("--app and --issued-before go with --jti or --subject");
  const draft: RevocationDraft = {
    app: values.app ?? mainApplication,
    jti: values.jti,
    subject: values.subject,
    issuedBeforeMs: parseTime(values["issued-before"]),
  };
  return withStore(tokenPlace(values, io), io, async (store) => {
    const gone = id === undefined ? await store.revokeIssued(draft) : await store.revoke(id);
    if (gone === null) return unknown(id ?? "", io);
    if (values.json) io.out(JSON.stringify("hash" in gone ? shown(gone) : gone));
    else io.err(id === undefined ? "Revoked." : `Revoked token ${id}.`);
    return exitCodes.ok;
  });
}

/** Runs an edit; what the store refuses is told, with status 1. */
async function withStore(place: TokenPlace, io: CliIo, use: (store: TokenStore) => Promise<number>): Promise<number> {
  const parts = { clock: systemClock, logger: silentLogger };
  try {
    if (place.url === undefined) return await use(await openFileTokens({ path: place.path, ...parts, follow: false }));
    using tool = await openTool(place.url);
    return await use(new SharedTokens({ ...parts, ledger: tool.ledger }));
  } catch (error) {
    if (!(error instanceof TokenStoreError)) throw error;
    const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
    io.err(`tagcast token: ${printable(error.message + (error.message.includes(cause.slice(2, -1)) ? "" : cause))}`);
    return exitCodes.failed;
  }
}

async function openTool(url: string): Promise<RedisTool> {
  try {
    return await openRedisTool(url, systemClock);
  } catch (error) {
    throw new TokenStoreError("unavailable", error instanceof Error ? error.message : String(error));
  }
}

function unknown(id: string, io: CliIo): number {
  io.err(`tagcast token: there is no token ${quoted(id)}`);
  return exitCodes.failed;
}

/** Everything but the hash. */
function shown(token: ManagedToken): Omit<ManagedToken, "hash"> {
  const { hash: _hash, ...rest } = token;
  return rest;
}

function described(token: ManagedToken): string {
  const { id, app, name, subject, client, grants, deny, expiresAtMs } = token;
  const isOver = expiresAtMs !== null && expiresAtMs <= systemClock.wallMs();
  const parts = [
    `${id}  ${name}`,
    `app=${app} subject=${subject}${client === null ? "" : ` client=${client}`}`,
    ...grantTexts("grant", grants),
    ...grantTexts("deny", deny),
    expiresAtMs === null ? "never expires" : `${isOver ? "EXPIRED" : "expires"} ${new Date(expiresAtMs).toISOString()}`,
    ...limitTexts(token),
  ];
  return printable(parts.join("  "));
}

function limitTexts({ connectionsMax, messagesPerSecond, bytesPerSecond }: ManagedToken): string[] {
  const limits = [
    ["connections", connectionsMax],
    ["messages/s", messagesPerSecond],
    ["bytes/s", bytesPerSecond],
  ] as const;
  return limits
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value === 0 ? "unlimited" : value}`);
}

function grantTexts(word: string, grants: GrantMap): string[] {
  return Object.entries(grants).map(([pattern, names]) => `${word} ${pattern}=${names.join(",")}`);
}

function parseTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const timeMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw new UsageError(`--issued-before must be a time such as 2031-05-01T12:00:00Z, got ${quoted(text)}`);
  return timeMs;
}
