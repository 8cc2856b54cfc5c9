/** `[[keys]]` → JWT verification keys, their material read and checked as far as can be done without the network. */
import { createPublicKey, type JsonWebKeyInput, type KeyObject } from "node:crypto";
import { type KeyAlgorithm, type KeyConfig, keyProblem } from "../core/key-config.ts";
import { type ReadFile, readFailure } from "./file.ts";
import type { ProblemList } from "./problems.ts";
import { keyFields, type Place, readEntries, readTable } from "./sections.ts";
import type { Value } from "./values.ts";

export interface KeyReading {
  /** Reads PEM files; their paths are already resolved. */
  readonly readFile: ReadFile;
  readonly resolvePath: (path: string) => string;
  readonly problems: ProblemList;
}

/** The keys in order, without those that have a problem. */
export async function readKeys(raw: unknown, place: Place, reading: KeyReading): Promise<KeyConfig[]> {
  const keys: KeyConfig[] = [];
  for (const [entry, at] of readEntries(raw, place, reading.problems)) {
    const values = readTable(entry, keyFields, at, reading.problems);
    const key = values === null ? null : await readKey(values, at, reading);
    if (key !== null) keys.push(key);
  }
  return keys;
}

async function readKey(
  values: Readonly<Record<string, Value>>,
  at: Place,
  reading: KeyReading,
): Promise<KeyConfig | null> {
  const { problems } = reading;
  const named = namedKey(values);
  // The path of a PEM file says nothing about the key in it: that is checked below.
  const problem = keyProblem(named);
  if (problem !== null) {
    problems.add(at.path, at.origin, inFileWords(problem));
    return null;
  }
  if (named.publicKey !== undefined) {
    const pem = await readPem(named.publicKey, at, reading);
    const publicKey = pem === null ? null : checkedPem(pem, named, at, problems);
    return publicKey === null ? null : { ...named, publicKey };
  }
  if (named.jwk !== undefined && named.algorithm !== "HS256") {
    const mismatch = materialProblem(named.algorithm, () =>
      createPublicKey({ key: named.jwk as JsonWebKeyInput["key"], format: "jwk" }),
    );
    if (mismatch !== null) problems.add(`${at.path} jwk`, at.origin, mismatch);
    return mismatch === null ? named : null;
  }
  if (named.jwksUrl !== undefined && new URL(named.jwksUrl).username !== "") {
    problems.add(`${at.path} jwks-url`, at.origin, "must not hold a user name or password");
    return null;
  }
  return named;
}

function namedKey(values: Readonly<Record<string, Value>>): KeyConfig {
  const fields = {
    secret: values["secret"],
    publicKey: values["public-key"],
    jwk: values["jwk"],
    jwksUrl: values["jwks-url"],
    keyId: values["key-id"],
    issuer: values["issuer"],
    audience: values["audience"],
  };
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  return { algorithm: values["algorithm"] as KeyAlgorithm, ...given };
}

/** `keyProblem` speaks of fields as code has them: `"publicKey"` stands in the file as `"public-key"`. */
function inFileWords(problem: string): string {
  return problem.replace(
    /"([a-z]+)([A-Z])([a-z]+)"/g,
    (_, head: string, letter: string, tail: string) => `"${head}-${letter.toLowerCase()}${tail}"`,
  );
}

async function readPem(text: string, at: Place, reading: KeyReading): Promise<string | null> {
  if (text.includes("-----BEGIN")) return text;
  try {
    return await reading.readFile(reading.resolvePath(text));
  } catch (error) {
    reading.problems.add(
      `${at.path} public-key`,
      at.origin,
      `cannot read ${JSON.stringify(text)}: ${readFailure(error)}`,
    );
    return null;
  }
}

/** The key as SPKI, whatever PEM it came in. */
function checkedPem(pem: string, key: KeyConfig, at: Place, problems: ProblemList): string | null {
  const problem =
    inFileWords(keyProblem({ ...key, publicKey: pem }) ?? "") ||
    materialProblem(key.algorithm, () => createPublicKey(pem));
  if (problem === null) return createPublicKey(pem).export({ type: "spki", format: "pem" });
  problems.add(`${at.path} public-key`, at.origin, problem);
  return null;
}

/** Why a public key does not fit its algorithm, or null. Never quotes it: it may be something else that is secret. */
function materialProblem(algorithm: KeyAlgorithm, load: () => KeyObject): string | null {
  let key: KeyObject;
  try {
    key = load();
  } catch {
    return `not a public key that can be read: expected ${fitting[algorithm] ?? "another"}`;
  }
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  const fits =
    (algorithm === "RS256" && key.asymmetricKeyType === "rsa" && modulusLength >= 2048) ||
    (algorithm === "ES256" && key.asymmetricKeyType === "ec" && namedCurve === "prime256v1") ||
    (algorithm === "EdDSA" && key.asymmetricKeyType === "ed25519");
  return fits ? null : `does not fit ${algorithm}: expected ${fitting[algorithm] ?? "another"}`;
}

const fitting: Readonly<Record<string, string>> = {
  RS256: "an RSA key of 2048 bits or more",
  ES256: "a key on the curve P-256",
  EdDSA: "an Ed25519 key",
};
