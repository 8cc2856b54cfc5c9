/** From configured keys to keys that verify: text, files and key sets, checked at start so that a bad key is not met later. */
import { createPublicKey, type JsonWebKeyInput, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type CryptoKey, importJWK, type JWSHeaderParameters } from "jose";
import { type KeyAlgorithm, type KeyConfig, keyProblem } from "../core/key-config.ts";
import type { Logger } from "../core/logger.ts";
import type { Clock } from "../lib/clock.ts";
import { Jwks } from "./jwks.ts";

/** What `jose` verifies with. */
export type VerifyKey = CryptoKey | KeyObject | Uint8Array;

/** A configured key of one application. */
export interface ApplicationKey {
  readonly app: string;
  readonly config: KeyConfig;
  /** The keys that fit a header whose algorithm is the configured one. Rejects with `KeysUnavailable`. */
  keysFor(header: JWSHeaderParameters): readonly VerifyKey[] | Promise<readonly VerifyKey[]>;
}

export interface ApplicationKeys {
  readonly name: string;
  readonly keys: readonly KeyConfig[];
}

export interface OpenKeys {
  readonly keys: readonly ApplicationKey[];
  close(): void;
}

/** A key that cannot be used; the message names its application and place and never holds a secret. */
export class KeyError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "KeyError";
  }
}

/** @throws (rejects with) KeyError that tells every problem, one a line */
export async function openKeys(
  applications: Iterable<ApplicationKeys>,
  parts: { readonly clock: Clock; readonly logger: Logger },
): Promise<OpenKeys> {
  const sets = new Map<string, Jwks>();
  const setAt = (url: string) => {
    const set = sets.get(url) ?? new Jwks({ url, ...parts });
    sets.set(url, set);
    return set;
  };
  const rows = [...applications].flatMap(({ name, keys }) =>
    keys.map((config, i) => ({ app: name, config, place: `key ${i + 1} of application "${name}"` })),
  );
  const { keys, problems } = await importAll(rows);
  if (problems.length > 0) throw new KeyError(problems.join("\n"));
  return {
    // Fetching begins here, after everything else has proved to be in order.
    keys: keys.map(({ app, config, key }) => {
      const set = config.jwksUrl === undefined ? null : setAt(config.jwksUrl);
      const fixed = key === null ? [] : [key];
      return { app, config, keysFor: (header) => set?.keysFor(header) ?? fixed };
    }),
    close() {
      for (const set of sets.values()) set.close();
    },
  };
}

interface Row {
  readonly app: string;
  readonly config: KeyConfig;
  readonly place: string;
}

async function importAll(rows: readonly Row[]) {
  const keys: (Row & { readonly key: VerifyKey | null })[] = [];
  const problems: string[] = [];
  for (const row of rows) {
    try {
      keys.push({ ...row, key: await importKey(row.config) });
    } catch (error) {
      problems.push(`Cannot use ${row.place}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { keys, problems };
}

/** Null for a key set. */
async function importKey(config: KeyConfig): Promise<VerifyKey | null> {
  const problem = keyProblem(config);
  if (problem !== null) throw new Error(problem);
  if (config.secret !== undefined) return new TextEncoder().encode(config.secret);
  if (config.jwk !== undefined) return importJwk(config.jwk, config.algorithm);
  if (config.publicKey !== undefined) return readPublicKey(config.publicKey, config.algorithm);
  return null;
}

async function importJwk(jwk: Readonly<Record<string, unknown>>, algorithm: KeyAlgorithm): Promise<VerifyKey> {
  const key = await importJWK({ ...jwk }, algorithm);
  if (key instanceof Uint8Array) return key;
  if (algorithm === "RS256") checkModulus(Buffer.from(String(jwk["n"]), "base64url").length * 8);
  return key;
}

/** The public key from PEM text, or from the file at a path. */
async function readPublicKey(textOrPath: string, algorithm: KeyAlgorithm): Promise<KeyObject> {
  const text = textOrPath.includes("-----BEGIN ") ? textOrPath : await readFile(textOrPath, "utf8");
  if (text.includes("PRIVATE KEY")) throw new Error("It holds a private key: give the public one");
  const key = parsePublicKey(text);
  assertKind(key, algorithm);
  return key;
}

/** The public key in a PEM or JWK text, of whatever kind; of a private key its public half. */
export function parsePublicKey(text: string): KeyObject {
  if (text.includes("BEGIN CERTIFICATE")) return new X509Certificate(text).publicKey;
  const isJwk = text.trimStart().startsWith("{");
  return createPublicKey(isJwk ? { key: JSON.parse(text) as JsonWebKeyInput["key"], format: "jwk" } : text);
}

/** @throws Error where a key of this kind is not for `algorithm`, or is too short to be safe */
export function assertKind(key: KeyObject, algorithm: KeyAlgorithm): void {
  if (algorithmOf(key) !== algorithm) throw new Error(`It is not a key for ${algorithm}`);
  if (algorithm === "RS256") checkModulus(key.asymmetricKeyDetails?.modulusLength ?? 0);
}

/** The one algorithm that a key is for here, or null. */
export function algorithmOf(key: KeyObject): KeyAlgorithm | null {
  if (key.type === "secret") return "HS256";
  if (key.asymmetricKeyType === "rsa") return "RS256";
  if (key.asymmetricKeyType === "ed25519") return "EdDSA";
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return key.asymmetricKeyType === "ec" && (curve === "prime256v1" || curve === "P-256") ? "ES256" : null;
}

function checkModulus(bits: number): void {
  if (bits < 2048) throw new Error("An RSA key must have 2048 bits or more");
}
