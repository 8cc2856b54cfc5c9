/** A key that cannot be used, or should not be, is told at start. */
import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "bun:test";
import { KeyError, openKeys } from "../../../src/auth/keys.ts";
import { type KeyConfig, keyProblem } from "../../../src/core/key-config.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { FakeClock } from "../../harness/clock.ts";
import { jwkOf, pairs, pemOf, secret } from "./mint.ts";

async function problemOf(...keys: KeyConfig[]): Promise<string> {
  try {
    await openKeys([{ name: "main", keys }], { clock: new FakeClock(), logger: silentLogger });
    return "none";
  } catch (error) {
    if (error instanceof KeyError) return error.message;
    throw error;
  }
}

test("an HS256 secret shorter than 32 bytes is refused, and not quoted", async () => {
  const short = "31 bytes are one byte too few!!";
  expect(Buffer.byteLength(short)).toBe(31);
  const problem = await problemOf({ algorithm: "HS256", secret: short });
  expect(problem).toContain("shorter than 32 bytes");
  expect(problem).toContain('key 1 of application "main"');
  expect(problem).not.toContain(short);
  expect(await problemOf({ algorithm: "HS256", secret: `${short}x` })).toBe("none");
  const k = Buffer.alloc(31).toString("base64url");
  expect(await problemOf({ algorithm: "HS256", jwk: { kty: "oct", k } })).toContain("shorter than 32 bytes");
});

test("a public key as an HS256 secret is refused: anybody could sign with it", async () => {
  expect(await problemOf({ algorithm: "HS256", secret: pemOf("RS256") })).toContain("public key");
});

test("a private key is refused where a public one belongs", async () => {
  const pem = pairs.EdDSA.privateKey.export({ type: "pkcs8", format: "pem" });
  expect(await problemOf({ algorithm: "EdDSA", publicKey: pem })).toContain("private key");
  const jwk = { ...pairs.ES256.privateKey.export({ format: "jwk" }) };
  expect(await problemOf({ algorithm: "ES256", jwk })).toContain("private key");
});

test("a key of another kind than its algorithm's is refused", async () => {
  expect(await problemOf({ algorithm: "RS256", publicKey: pemOf("ES256") })).toContain("not a key for RS256");
  expect(await problemOf({ algorithm: "ES256", jwk: jwkOf("RS256") })).toContain('kty "EC"');
  expect(await problemOf({ algorithm: "RS256", secret })).toContain("public key");
  expect(await problemOf({ algorithm: "HS256", publicKey: pemOf("RS256") })).toContain("HS256");
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export({ type: "spki", format: "pem" });
  expect(await problemOf({ algorithm: "ES256", publicKey: p384 })).toContain("not a key for ES256");
});

test("an RSA key of fewer than 2048 bits is refused", async () => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const pem = publicKey.export({ type: "spki", format: "pem" });
  expect(await problemOf({ algorithm: "RS256", publicKey: pem })).toContain("2048 bits");
  expect(await problemOf({ algorithm: "RS256", jwk: { ...publicKey.export({ format: "jwk" }) } })).toContain(
    "2048 bits",
  );
});

test("every bad key is told at once", async () => {
  const problem = await problemOf(
    { algorithm: "HS256", secret: "x" },
    { algorithm: "RS256", publicKey: "/no/such/file" },
  );
  expect(problem.split("\n")).toHaveLength(2);
  expect(problem).toContain("/no/such/file");
});

test("key sets must come over https, or over http from this machine", () => {
  const problemAt = (jwksUrl: string) => keyProblem({ algorithm: "RS256", jwksUrl });
  for (const url of ["https://id.example/keys", "http://127.0.0.1:81/k", "http://localhost/k", "http://[::1]:8/k"])
    expect(problemAt(url)).toBeNull();
  for (const url of [
    "http://id.example/keys",
    "http://127.0.0.1.evil.example/",
    "http://localhost.evil.example/",
    "file:///etc/k",
    "k",
  ])
    expect(problemAt(url)).not.toBeNull();
  expect(keyProblem({ algorithm: "HS256", jwksUrl: "https://id.example/keys" })).not.toBeNull();
});

test("exactly one source of a key is given", () => {
  expect(keyProblem({ algorithm: "HS256" })).toContain("exactly one");
  expect(keyProblem({ algorithm: "HS256", secret, jwk: {} })).toContain("exactly one");
});
