/** `tagcast token decode`: what a JWT says, and whether it holds. */
import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { compactVerify, decodeJwt, decodeProtectedHeader, errors as joseErrors, type JWTPayload } from "jose";
import { algorithmOf, parsePublicKey } from "../auth/keys.ts";
import type { KeyAlgorithm } from "../core/key-config.ts";
import { systemClock } from "../lib/clock.ts";
import { printable } from "../lib/printable.ts";
import { exitCodes, type Help, UsageError } from "./help.ts";
import type { CliIo } from "./io.ts";
import { parseArguments } from "./token-arguments.ts";

export const decodeHelp: Help = {
  usage: ["token decode JWT [--secret TEXT | --key FILE] [--json]", "token decode - [options]"],
  about:
    "Prints header and claims of a JWT, and whether its times hold. Its signature is checked only with --secret or --key; then the exit status is 1 if it or the times are wrong. With - it is read from standard input.",
  options: [
    ["--secret TEXT", "HS256: the shared secret."],
    ["--key FILE", "A public key or certificate as PEM, or a JWK; for HS256 a file that holds the secret."],
    ["--json", "Print JSON."],
  ],
  examples: ["tagcast token sign --key private.pem --sub press-7 | tagcast token decode - --key public.pem"],
};

/** Bytes of standard input that are read: more than a token may have. */
const inputBytesMax = 65_536;

type Signature = "not checked" | "valid" | "INVALID";

export async function decode(argv: readonly string[], io: CliIo): Promise<number> {
  const options = { secret: { type: "string" }, key: { type: "string" }, json: { type: "boolean" } } as const;
  const { values, positionals } = parseArguments(argv, options, [1, 1]);
  if (values.secret !== undefined && values.key !== undefined) throw new UsageError("say either --secret or --key");
  const token = positionals[0] === "-" ? await readToken(io) : (positionals[0] ?? "");
  try {
    const header = decodeProtectedHeader(token);
    const claims = decodeJwt(token);
    const signature = await signatureOf(token, values.secret, values.key);
    const problems = timeProblems(claims, systemClock.wallMs());
    if (values.json) io.out(JSON.stringify({ header, claims, signature, problems }));
    else for (const line of described(header, claims, signature, problems)) io.out(line);
    const failed = signature === "INVALID" || (signature === "valid" && problems.length > 0);
    return failed ? exitCodes.failed : exitCodes.ok;
  } catch (error) {
    io.err(`tagcast token: cannot decode: ${printable(error instanceof Error ? error.message : String(error))}`);
    return exitCodes.failed;
  }
}

function described(header: object, claims: JWTPayload, signature: Signature, problems: readonly string[]): string[] {
  const times = (["iat", "nbf", "exp"] as const).flatMap((name) => {
    const time = claims[name];
    return typeof time === "number" && Math.abs(time) <= 8.64e12
      ? [`${name}: ${new Date(time * 1000).toISOString()}`]
      : [];
  });
  return [
    `header: ${printable(JSON.stringify(header))}`,
    `claims: ${printable(JSON.stringify(claims))}`,
    ...times,
    `times: ${problems.length === 0 ? "hold" : problems.join("; ")}`,
    `signature: ${signature}${signature === "not checked" ? " (give --secret or --key)" : ""}`,
  ];
}

/** By this machine's clock, without tolerance. */
function timeProblems({ exp, nbf, iat }: JWTPayload, nowMs: number): string[] {
  const problems: string[] = [];
  if (typeof exp !== "number") problems.push("there is no exp: a server refuses it");
  else if (exp * 1000 <= nowMs) problems.push("expired");
  if (typeof nbf === "number" && nbf * 1000 > nowMs) problems.push("not valid yet (nbf)");
  if (typeof iat === "number" && iat * 1000 > nowMs) problems.push("issued in the future (iat)");
  return problems;
}

/** With the one algorithm that the key is for: what the header says decides nothing. */
async function signatureOf(token: string, secret: string | undefined, path: string | undefined): Promise<Signature> {
  if (secret === undefined && path === undefined) return "not checked";
  const { key, algorithm } = await verifyKey(secret, path);
  try {
    await compactVerify(token, key, { algorithms: [algorithm] });
    return "valid";
  } catch (error) {
    if (error instanceof joseErrors.JOSEError) return "INVALID";
    throw error;
  }
}

async function verifyKey(
  secret: string | undefined,
  path: string | undefined,
): Promise<{ readonly key: KeyObject | Uint8Array; readonly algorithm: KeyAlgorithm }> {
  const text = secret ?? (await readFile(path ?? "", "utf8"));
  const isSecret = secret !== undefined || !/^\s*(\{|-----BEGIN )/.test(text);
  if (isSecret) return { key: new TextEncoder().encode(text.replace(/\r?\n$/, "")), algorithm: "HS256" };
  const key = parsePublicKey(text);
  const algorithm = algorithmOf(key);
  if (algorithm === null) throw new Error("no algorithm here takes such a key");
  return { key, algorithm };
}

async function readToken(io: CliIo): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of io.stdin) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > inputBytesMax) throw new UsageError(`standard input holds more than ${inputBytesMax} bytes`);
  }
  return Buffer.concat(chunks).toString("utf8").trim();
}
