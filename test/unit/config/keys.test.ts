import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { problemsOf, resolve } from "../../harness/config.ts";

const secret = "0123456789abcdef0123456789abcdef";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const smallRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ec384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const ed = generateKeyPairSync("ed25519");

const pem = (key: KeyObject) => key.export({ type: key.type === "public" ? "spki" : "pkcs8", format: "pem" });
const inline = (text: string) => `public-key = """${text}"""`;
const keyEntry = (algorithm: string, ...lines: string[]) =>
  ["[[keys]]", `algorithm = "${algorithm}"`, ...lines].join("\n");
const jwkLine = (jwk: object) =>
  `jwk = { ${Object.entries(jwk)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
    .join(", ")} }`;

async function keysOf(toml: string, files: Readonly<Record<string, string>> = {}) {
  return (await resolve({ toml, files })).config.applications.get("main")!.keys;
}

test("a secret is read, with what tokens have to say", async () => {
  const toml = keyEntry(
    "HS256",
    `secret = "${secret}"`,
    'key-id = "k1"',
    'issuer = "https://i"',
    'audience = "tagcast"',
  );
  expect(await keysOf(toml)).toEqual([
    { algorithm: "HS256", secret, keyId: "k1", issuer: "https://i", audience: "tagcast" },
  ]);
});

test.each([
  ["RS256", rsa],
  ["ES256", ec],
  ["EdDSA", ed],
] as const)(
  "a public key of %s is taken as PEM, as the path of a PEM file, and as a JWK",
  async (algorithm, { publicKey }) => {
    const text = pem(publicKey);
    expect(await keysOf(keyEntry(algorithm, inline(text)))).toEqual([{ algorithm, publicKey: text }]);
    expect(await keysOf(keyEntry(algorithm, 'public-key = "key.pem"'), { "/etc/key.pem": text })).toEqual([
      { algorithm, publicKey: text },
    ]);
    const jwk = publicKey.export({ format: "jwk" });
    expect(await keysOf(keyEntry(algorithm, jwkLine(jwk)))).toEqual([{ algorithm, jwk: { ...jwk } }]);
  },
);

test("a key set is taken by its URL", async () => {
  const toml = keyEntry("RS256", 'jwks-url = "https://login.example.com/jwks.json"');
  expect(await keysOf(toml)).toEqual([{ algorithm: "RS256", jwksUrl: "https://login.example.com/jwks.json" }]);
});

describe("a key is refused", () => {
  test.each([
    ["without material", keyEntry("HS256"), "exactly one of"],
    ["with two", keyEntry("HS256", `secret = "${secret}"`, 'jwks-url = "https://x"'), "exactly one of"],
    ["whose secret is short", keyEntry("HS256", `secret = "${secret.slice(1)}"`), "shorter than 32 bytes"],
    ["with a secret for RS256", keyEntry("RS256", `secret = "${secret}"`), "takes a public key"],
    ["with a public key for HS256", keyEntry("HS256", inline(pem(rsa.publicKey))), "not a public key"],
    ["whose PEM is private", keyEntry("RS256", inline(pem(rsa.privateKey))), '"public-key" holds a private key'],
    ["whose JWK is private", keyEntry("ES256", jwkLine(ec.privateKey.export({ format: "jwk" }))), "private key"],
    ["of another kind", keyEntry("RS256", inline(pem(ec.publicKey))), "does not fit RS256: expected an RSA key"],
    ["of another curve", keyEntry("ES256", inline(pem(ec384.publicKey))), "expected a key on the curve P-256"],
    ["of too few bits", keyEntry("RS256", inline(pem(smallRsa.publicKey))), "2048 bits or more"],
    ["whose JWK is of another curve", keyEntry("ES256", jwkLine(ec384.publicKey.export({ format: "jwk" }))), "P-256"],
    [
      "that is no PEM",
      keyEntry("RS256", inline("-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----")),
      "not a public key that can be read",
    ],
    [
      "whose JWK is broken",
      keyEntry("EdDSA", jwkLine({ kty: "OKP", crv: "Ed25519", x: "AA" })),
      "not a public key that can be read",
    ],
    ["whose file is missing", keyEntry("RS256", 'public-key = "none.pem"'), 'cannot read "none.pem": no such file'],
    ["without encryption to its key set", keyEntry("RS256", 'jwks-url = "http://login.example.com/jwks"'), "https://"],
    [
      "with a password in a URL",
      keyEntry("RS256", 'jwks-url = "https://u:hunter2@example.com/jwks"'),
      "user name or password",
    ],
    ["of an algorithm that is none", keyEntry("none", `secret = "${secret}"`), 'expected one of "HS256"'],
    ["with a mistyped field", keyEntry("HS256", `secrte = "${secret}"`), 'did you mean "secret"?'],
  ])("%s", async (_, toml, message) => {
    const [problem, ...others] = await problemsOf({ toml });
    expect(others).toEqual([]);
    expect(problem?.key).toStartWith("keys #1");
    expect(problem?.message).toContain(message);
    for (const hidden of [secret.slice(1), "hunter2", "PRIVATE KEY-----", '"d"']) {
      expect(JSON.stringify(problem)).not.toContain(hidden);
    }
  });

  test("when its file holds a private key", async () => {
    const toml = keyEntry("RS256", 'public-key = "/keys/key.pem"');
    const [problem] = await problemsOf({ toml, files: { "/keys/key.pem": pem(rsa.privateKey) } });
    expect(problem?.message).toBe('"public-key" holds a private key: give the public one');
  });

  test("by a place that tells it from its neighbours", async () => {
    const toml = [keyEntry("HS256", `secret = "${secret}"`), keyEntry("HS256", "secret = 5")].join("\n");
    expect((await problemsOf({ toml })).map(({ key }) => key)).toEqual(["keys #2 secret"]);
  });
});
