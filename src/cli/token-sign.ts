/** `tagcast token sign`: a JWT, as an application's own back end would make it. */
import { createPrivateKey, type JsonWebKeyInput, type KeyObject, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { SignJWT } from "jose";
import { algorithmOf, assertKind } from "../auth/keys.ts";
import { quoted } from "../config/values.ts";
import { type KeyAlgorithm, keyAlgorithms, keyProblem } from "../core/key-config.ts";
import { systemClock } from "../lib/clock.ts";
import { exitCodes, type Help, UsageError } from "./help.ts";
import type { CliIo } from "./io.ts";
import { parseArguments, parseConnections, parseDuration, parseGrants, parseRate } from "./token-arguments.ts";

export const signHelp: Help = {
  usage: ["token sign --sub TEXT (--secret TEXT | --key FILE) [options]"],
  about: "Makes a JWT and prints it. The key decides which application it is for.",
  options: [
    ["--sub TEXT", "Whom it speaks for."],
    [
      "--secret TEXT",
      "HS256: the shared secret, 32 bytes or more. Others on this machine can see it; --key FILE they cannot.",
    ],
    ["--key FILE", "A private key as PEM or JWK; for HS256 a file that holds the secret."],
    ["--algorithm NAME", `One of ${keyAlgorithms.join(", ")}; default what the key is for.`],
    ["--grant PATTERN=OP,OP", "What it may do; repeatable."],
    ["--deny PATTERN=OP,OP", "What it may not do whatever is granted; repeatable."],
    ["--client NAME", "Fixes the client name of its connections."],
    ["--expires DURATION", "When it ends, from now; default 1h."],
    ["--connections N", "Connections it may hold at once."],
    ["--messages-per-second N", "Messages it may send in a second, to one instance; or unlimited."],
    ["--bytes-per-second N", "Likewise bytes: 500000, 64KiB, 1MiB."],
    ["--jti TEXT", "Its id, for revocation; default a random one."],
    ["--key-id TEXT", "The kid of its header."],
    ["--issuer TEXT", "Its iss claim."],
    ["--audience TEXT", "Its aud claim."],
  ],
  examples: ["tagcast token sign --key secret.txt --algorithm HS256 --sub press-7 --grant 'plant/7/#=publish'"],
};

const options = {
  sub: { type: "string" },
  secret: { type: "string" },
  key: { type: "string" },
  algorithm: { type: "string" },
  grant: { type: "string", multiple: true },
  deny: { type: "string", multiple: true },
  client: { type: "string" },
  expires: { type: "string" },
  connections: { type: "string" },
  "messages-per-second": { type: "string" },
  "bytes-per-second": { type: "string" },
  jti: { type: "string" },
  "key-id": { type: "string" },
  issuer: { type: "string" },
  audience: { type: "string" },
} as const;

export async function sign(argv: readonly string[], io: CliIo): Promise<number> {
  const { values } = parseArguments(argv, options, [0, 0]);
  if (!values.sub) throw new UsageError("say whom it speaks for: --sub TEXT");
  const lifetimeMs = parseDuration("--expires", values.expires ?? "1h");
  const claims = {
    grants: parseGrants("--grant", values.grant) ?? {},
    deny: parseGrants("--deny", values.deny),
    client: values.client,
    connections: parseConnections(values.connections) ?? undefined,
    messagesPerSecond: parseRate("--messages-per-second", values["messages-per-second"]) ?? undefined,
    bytesPerSecond: parseRate("--bytes-per-second", values["bytes-per-second"]) ?? undefined,
    iss: values.issuer,
    aud: values.audience,
  };
  const nowMs = systemClock.wallMs();
  const jwt = new SignJWT(withoutAbsent(claims))
    .setSubject(values.sub)
    .setJti(values.jti ?? randomUUID())
    .setIssuedAt(Math.floor(nowMs / 1000))
    .setExpirationTime(Math.floor((nowMs + lifetimeMs) / 1000));
  const wanted = parseAlgorithm(values.algorithm);
  try {
    const { algorithm, key } = await signingKey(values.secret, values.key, wanted);
    const kid = values["key-id"];
    io.out(await jwt.setProtectedHeader({ alg: algorithm, typ: "JWT", ...(kid !== undefined && { kid }) }).sign(key));
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    io.err(`tagcast token: cannot sign: ${reason(error, values.key)}`);
    return exitCodes.failed;
  }
}

/** What a person can do about it: the texts of the system and of OpenSSL do not say. */
function reason(error: unknown, path: string | undefined): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return `there is no file ${quoted(path ?? "")}`;
  if (code === "ERR_INVALID_ARG_TYPE" || /PEM routines|NO_START_LINE|OPENSSL|DECODER/i.test(error.message)) {
    return `${quoted(path ?? "")} is no private key in PEM or JWK form; for a file that holds a secret say --algorithm HS256`;
  }
  return error.message;
}

export function parseAlgorithm(text: string | undefined): KeyAlgorithm | undefined {
  const algorithm = keyAlgorithms.find((candidate) => candidate === text);
  if (text !== undefined && algorithm === undefined)
    throw new UsageError(`--algorithm must be one of ${keyAlgorithms.join(", ")}, got ${quoted(text)}`);
  return algorithm;
}

interface SigningKey {
  readonly algorithm: KeyAlgorithm;
  readonly key: KeyObject | Uint8Array;
}

async function signingKey(
  secret: string | undefined,
  path: string | undefined,
  wanted: KeyAlgorithm | undefined,
): Promise<SigningKey> {
  if ((secret === undefined) === (path === undefined)) throw new UsageError("say either --secret TEXT or --key FILE");
  if (secret !== undefined) {
    if (wanted !== undefined && wanted !== "HS256") throw new UsageError(`${wanted} takes --key FILE, not --secret`);
    return { algorithm: "HS256", key: secretKey(secret) };
  }
  const text = await readFile(path ?? "", "utf8");
  if (wanted === "HS256") return { algorithm: wanted, key: secretKey(text.replace(/\r?\n$/, "")) };
  const key = text.trimStart().startsWith("{")
    ? createPrivateKey({ key: JSON.parse(text) as JsonWebKeyInput["key"], format: "jwk" }) // which checks it
    : createPrivateKey(text);
  const algorithm = wanted ?? algorithmOf(key);
  if (algorithm === null) throw new Error("no algorithm here takes such a key");
  assertKind(key, algorithm);
  return { algorithm, key };
}

/** @throws Error where it is too short */
function secretKey(secret: string): Uint8Array {
  const problem = keyProblem({ algorithm: "HS256", secret });
  if (problem !== null) throw new Error(problem);
  return new TextEncoder().encode(secret);
}

function withoutAbsent(claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
