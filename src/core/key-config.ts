/**
 * The keys that an application's JWTs are verified with, as configuration names them. Pure checks only: files and
 * URLs are read in `auth`.
 */

export const keyAlgorithms = ["HS256", "RS256", "ES256", "EdDSA"] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

/** HS256 keys are at least as long as the hash (RFC 7518 §3.2). */
export const secretBytesMin = 32;

/** One key, or with `jwksUrl` a set of them. Exactly one of `secret`, `publicKey`, `jwk` and `jwksUrl` is given. */
export interface KeyConfig {
  /** Fixed here, never taken from a token. */
  readonly algorithm: KeyAlgorithm;
  /** HS256 only: text, at least 32 bytes of UTF-8. */
  readonly secret?: string;
  /** PEM text, or the path of a PEM file: a public key or a certificate. */
  readonly publicKey?: string;
  /** A JSON Web Key: symmetric for HS256, else public. */
  readonly jwk?: Readonly<Record<string, unknown>>;
  /** Where a JSON Web Key Set is: https, or http on loopback. Not for HS256. */
  readonly jwksUrl?: string;
  /** Tokens that name another `kid` are not tried with this key. Not with `jwksUrl`, whose keys have their own. */
  readonly keyId?: string;
  /** What `iss` must be; absent: anything. */
  readonly issuer?: string;
  /** What `aud` must be or contain; absent: anything. */
  readonly audience?: string;
}

/** What is wrong with a key as far as its text shows, or null. Never quotes a secret. */
export function keyProblem(key: KeyConfig): string | null {
  const sources = [key.secret, key.publicKey, key.jwk, key.jwksUrl].filter((source) => source !== undefined);
  if (sources.length !== 1) return 'Give exactly one of "secret", "publicKey", "jwk" and "jwksUrl"';
  if (key.secret !== undefined) return secretProblem(key.algorithm, key.secret);
  if (key.jwk !== undefined) return jwkProblem(key.algorithm, key.jwk);
  if (key.algorithm === "HS256") return 'HS256 takes a "secret" or a symmetric "jwk", not a public key';
  if (key.publicKey?.includes("PRIVATE KEY")) return '"publicKey" holds a private key: give the public one';
  if (key.jwksUrl === undefined) return null;
  if (key.keyId !== undefined) return '"keyId" does not go with "jwksUrl": the keys of the set have their own';
  return jwksUrlProblem(key.jwksUrl);
}

function secretProblem(algorithm: KeyAlgorithm, secret: string): string | null {
  if (algorithm !== "HS256") return `${algorithm} takes a public key, not a "secret"`;
  if (/-----BEGIN [A-Z0-9 ]*(PUBLIC KEY|CERTIFICATE)-----/.test(secret))
    return 'The "secret" is a public key: anybody could sign with it';
  if (new TextEncoder().encode(secret).length < secretBytesMin)
    return `The HS256 "secret" is shorter than ${secretBytesMin} bytes`;
  return null;
}

function jwkProblem(algorithm: KeyAlgorithm, jwk: Readonly<Record<string, unknown>>): string | null {
  const kinds = { HS256: "oct", RS256: "RSA", ES256: "EC", EdDSA: "OKP" } as const satisfies Record<
    KeyAlgorithm,
    string
  >;
  if (jwk["kty"] !== kinds[algorithm]) return `The "jwk" of ${algorithm} must have kty "${kinds[algorithm]}"`;
  if (jwk["alg"] !== undefined && jwk["alg"] !== algorithm)
    return `The "jwk" is made for another algorithm than ${algorithm}`;
  if (algorithm !== "HS256")
    return jwk["d"] === undefined ? null : 'The "jwk" holds a private key: give the public one';
  const bytes = typeof jwk["k"] === "string" ? Math.floor((jwk["k"].length * 3) / 4) : 0;
  return bytes < secretBytesMin ? `The HS256 "jwk" is shorter than ${secretBytesMin} bytes` : null;
}

function jwksUrlProblem(text: string): string | null {
  const url = URL.parse(text);
  if (url === null) return `"jwksUrl" is not a URL: "${text}"`;
  if (url.protocol === "https:") return null;
  const loopback =
    url.hostname === "localhost" || url.hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
  if (url.protocol === "http:" && loopback) return null;
  return `"jwksUrl" must begin with https:// (http:// only on loopback): "${text}"`;
}
