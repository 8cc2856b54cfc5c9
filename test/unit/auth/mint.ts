/** Keys and tokens for tests of the authenticator, good ones and forged ones. */
import { generateKeyPairSync } from "node:crypto";
import { type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";
import { AuthenticationError } from "../../../src/core/authenticator.ts";
import type { Identity } from "../../../src/core/identity.ts";

export const secret = "a secret of thirty-two bytes or more";

export const pairs = {
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: generateKeyPairSync("ed25519"),
};

export function pemOf(algorithm: keyof typeof pairs): string {
  return pairs[algorithm].publicKey.export({ type: "spki", format: "pem" });
}

export function jwkOf(algorithm: keyof typeof pairs): Record<string, unknown> {
  return { ...pairs[algorithm].publicKey.export({ format: "jwk" }) };
}

type SigningKey = Parameters<SignJWT["sign"]>[0];

/** Claims are taken as they are: nothing is filled in. */
export function mint(claims: JWTPayload, header: Partial<JWTHeaderParameters> = {}, key?: SigningKey): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", ...header })
    .sign(key ?? new TextEncoder().encode(secret));
}

/** A token with any header and no regard for what signers refuse. */
export function forge(header: object, claims: object, signature = ""): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(claims)}.${signature}`;
}

/** The name of the code that a credential is refused with, or the identity. */
export async function outcome(attempt: () => Identity | Promise<Identity>): Promise<Identity | string> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof AuthenticationError) return error.code.name;
    throw error;
  }
}
