/** JWTs: only what a configured key signed, with that key's algorithm and within its times, gets in. */
import { createHmac } from "node:crypto";
import { describe, expect, test } from "bun:test";
import { openAuthenticator } from "../../../src/auth/authenticator.ts";
import { MemoryTokens } from "../../../src/auth/memory-tokens.ts";
import type { AuthenticationError } from "../../../src/core/authenticator.ts";
import type { Identity } from "../../../src/core/identity.ts";
import type { KeyConfig } from "../../../src/core/key-config.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { FakeClock } from "../../harness/clock.ts";
import { forge, jwkOf, mint, outcome, pairs, pemOf, secret } from "./mint.ts";

/** Whole seconds, so that boundaries can be hit exactly. */
const now = 1_700_000_000;
const inAnHour = now + 3600;

async function openWith(keys: readonly KeyConfig[], others: Readonly<Record<string, readonly KeyConfig[]>> = {}) {
  const clock = new FakeClock(now * 1000);
  const store = new MemoryTokens(clock);
  const applications = Object.entries({ main: keys, ...others }).map(([name, each]) => ({ name, keys: each }));
  const auth = await openAuthenticator({ applications, store, adminToken: null, clock, logger: silentLogger });
  return { auth, clock, store, enter: (token: string) => outcome(() => auth.authenticate(token)) };
}

const hs256: KeyConfig = { algorithm: "HS256", secret };

describe("a JWT with a good signature", () => {
  test("becomes an identity that says what the claims say", async () => {
    const { auth } = await openWith([hs256]);
    const token = await mint({
      sub: "ann",
      exp: inAnHour,
      iat: now - 5,
      jti: "j1",
      client: "phone",
      grants: { "user/${sub}/${client}": ["readwrite"] },
      deny: { "user/ann/phone": ["history"] },
      connections: 3,
      messagesPerSecond: 100,
    });
    const identity = await auth.authenticate(token);
    expect(identity).toMatchObject({
      app: "main",
      subject: "ann",
      client: "phone",
      expiresAtMs: inAnHour * 1000,
      tokenId: "jwt:j1",
      issuedAtMs: (now - 5) * 1000,
      connectionsMax: 3,
      messagesPerSecond: 100,
      bytesPerSecond: null,
    });
    expect(identity.grants.allows("publish", "user/ann/phone")).toBe(true);
    expect(identity.grants.allows("history", "user/ann/phone")).toBe(false);
  });

  test("is taken from each algorithm, with PEM and JWK alike", async () => {
    for (const algorithm of ["RS256", "ES256", "EdDSA"] as const) {
      const token = await mint({ sub: "s", exp: inAnHour }, { alg: algorithm }, pairs[algorithm].privateKey);
      for (const key of [{ publicKey: pemOf(algorithm) }, { jwk: jwkOf(algorithm) }]) {
        const { enter } = await openWith([{ algorithm, ...key }]);
        expect(await enter(token)).toMatchObject({ subject: "s", tokenId: "jwt:", issuedAtMs: 0 });
      }
    }
    const { enter } = await openWith([
      { algorithm: "HS256", jwk: { kty: "oct", k: Buffer.from(secret).toString("base64url") } },
    ]);
    expect(await enter(await mint({ sub: "s", exp: inAnHour }))).toMatchObject({ subject: "s" });
  });

  test("seen before is answered without a promise until it expires", async () => {
    const { auth, clock } = await openWith([hs256]);
    const token = await mint({ sub: "s", exp: now + 60 });
    expect(auth.authenticate(token)).toBeInstanceOf(Promise);
    await auth.authenticate(token);
    expect(auth.authenticate(token)).not.toBeInstanceOf(Promise);
    clock.advance(60_000);
    expect(auth.authenticate(token)).toBeInstanceOf(Promise);
  });

  test("seen before is refused once it is revoked", async () => {
    const { auth, store, enter } = await openWith([hs256]);
    const token = await mint({ sub: "s", exp: inAnHour, jti: "j", iat: now });
    await auth.authenticate(token);
    store.revokeIssued({ app: "main", jti: "j" });
    expect(await enter(token)).toBe("invalid-token");
  });

  test("revoked while it was being verified is refused", async () => {
    const { auth, store } = await openWith([hs256]);
    const attempt = auth.authenticate(await mint({ sub: "s", exp: inAnHour, iat: now }));
    store.revokeIssued({ app: "main", subject: "s" });
    expect(await outcome(() => attempt)).toBe("invalid-token");
  });
});

describe("the algorithm is the key's, never the token's", () => {
  const claims = { sub: "s", exp: inAnHour };

  test("none is refused in every spelling", async () => {
    const { enter } = await openWith([hs256, { algorithm: "RS256", publicKey: pemOf("RS256") }]);
    for (const alg of ["none", "None", "NONE", "", null, undefined])
      for (const signature of ["", "AA"]) expect(await enter(forge({ alg }, claims, signature))).toBe("invalid-token");
  });

  test("a public key used as an HS256 secret is refused", async () => {
    const { enter } = await openWith([{ algorithm: "RS256", publicKey: pemOf("RS256") }]);
    for (const material of [pemOf("RS256"), pemOf("RS256").trim()]) {
      const unsigned = forge({ alg: "HS256" }, claims).slice(0, -1);
      const signature = createHmac("sha256", material).update(unsigned).digest("base64url");
      expect(await enter(`${unsigned}.${signature}`)).toBe("invalid-token");
    }
  });

  test("a token of another algorithm than its key's is refused", async () => {
    const { enter } = await openWith([{ algorithm: "ES256", publicKey: pemOf("ES256") }]);
    expect(await enter(await mint(claims, { alg: "RS256" }, pairs.RS256.privateKey))).toBe("invalid-token");
    expect(await enter(await mint(claims, { alg: "PS256" }, pairs.RS256.privateKey))).toBe("invalid-token");
    const { enter: enterHs } = await openWith([hs256]);
    const long = new TextEncoder().encode(secret.repeat(2));
    expect(await enterHs(await mint(claims, { alg: "HS512" }, long))).toBe("invalid-token");
  });

  test("a key inside the token's header is not looked at", async () => {
    const { enter } = await openWith([{ algorithm: "EdDSA", publicKey: pemOf("EdDSA") }]);
    const other = await mint(claims, { alg: "ES256", jwk: jwkOf("ES256") }, pairs.ES256.privateKey);
    expect(await enter(other)).toBe("invalid-token");
    const critical = forge({ alg: "EdDSA", crit: ["b64"], b64: false }, claims, "AAAA");
    expect(await enter(critical)).toBe("invalid-token");
  });
});

describe("times", () => {
  const cases: [name: string, claims: object, atSeconds: number, expected: string][] = [
    ["the last millisecond within the skew after exp", { exp: now }, 29.999, "in"],
    ["the skew after exp", { exp: now }, 30, "expired-token"],
    ["the last millisecond before the skew before nbf", { exp: inAnHour, nbf: now + 31 }, 0.999, "invalid-token"],
    ["the skew before nbf", { exp: inAnHour, nbf: now + 31 }, 1, "in"],
    ["the last millisecond before the skew before iat", { exp: inAnHour, iat: now + 31 }, 0.999, "invalid-token"],
    ["the skew before iat", { exp: inAnHour, iat: now + 31 }, 1, "in"],
  ];
  for (const [name, claims, atSeconds, expected] of cases) {
    test(`at ${name}: ${expected}`, async () => {
      const { enter, clock } = await openWith([hs256]);
      clock.advance(atSeconds * 1000);
      const result = await enter(await mint({ sub: "s", ...claims }));
      expect(typeof result === "string" ? result : "in").toBe(expected);
    });
  }

  test("an identity ends at exp, and with the skew only for who arrives after it", async () => {
    const { auth, clock } = await openWith([hs256]);
    const token = await mint({ sub: "s", exp: now + 10 });
    expect((await auth.authenticate(token)).expiresAtMs).toBe((now + 10) * 1000);
    clock.advance(10_000);
    expect((await auth.authenticate(token)).expiresAtMs).toBe((now + 40) * 1000);
  });
});

describe("claims", () => {
  const bad: [name: string, claims: object][] = [
    ["without exp", { sub: "s" }],
    ["with exp as text", { sub: "s", exp: "2031-01-01" }],
    ["with exp beyond all dates", { sub: "s", exp: 1e20 }],
    ["without sub", { exp: inAnHour }],
    ["with an empty sub", { sub: "", exp: inAnHour }],
    ["with an unknown operation", { sub: "s", exp: inAnHour, grants: { a: ["fly"] } }],
    ["with grants as a list", { sub: "s", exp: inAnHour, grants: ["a"] }],
    ["with deny that is no map", { sub: "s", exp: inAnHour, deny: "a" }],
    ["with no connections", { sub: "s", exp: inAnHour, connections: 0 }],
    ["with a client of 65 bytes", { sub: "s", exp: inAnHour, client: "x".repeat(65) }],
    ["with a client that breaks lines", { sub: "s", exp: inAnHour, client: "a\nb" }],
  ];
  for (const [name, claims] of bad) {
    test(`${name} are refused`, async () => {
      const { enter } = await openWith([hs256]);
      expect(await enter(await mint(claims as never))).toBe("invalid-token");
    });
  }

  // A record made by assignment drops this key, and the denial with it.
  test("that deny __proto__ are refused rather than forgotten", async () => {
    const { enter } = await openWith([hs256]);
    const claims = JSON.parse(`{"sub":"s","exp":${inAnHour},"grants":{"#":["read"]},"deny":{"__proto__":["read"]}}`);
    const unsigned = forge({ alg: "HS256" }, claims).slice(0, -1);
    const signature = createHmac("sha256", secret).update(unsigned).digest("base64url");
    expect(await enter(`${unsigned}.${signature}`)).toBe("invalid-token");
  });

  test("that nobody knows are ignored", async () => {
    const { enter } = await openWith([hs256]);
    expect(await enter(await mint({ sub: "s", exp: inAnHour, roles: ["x"] }))).toMatchObject({ subject: "s" });
  });

  test("are explained to who has the key, and to nobody else", async () => {
    const { auth } = await openWith([hs256]);
    const text = async (token: string) => {
      try {
        return (await auth.authenticate(token)).subject;
      } catch (error) {
        return (error as AuthenticationError).message;
      }
    };
    expect(await text(await mint({ sub: "s" }))).toContain("exp");
    const stranger = new TextEncoder().encode("x".repeat(32));
    const uniform = "The token is not valid";
    for (const claims of [{ sub: "s" }, { exp: 1, sub: "s" }, { sub: "s", exp: inAnHour }])
      expect(await text(await mint(claims, {}, stranger))).toBe(uniform);
    for (const token of ["", "x", "a.b.c", "a.b", "....", "tct_nothing", "x".repeat(9000)])
      expect(await text(token)).toBe(uniform);
  });

  test("of more than 8192 bytes are not looked at", async () => {
    const { enter } = await openWith([hs256]);
    const sized = (length: number) => mint({ sub: "s", exp: inAnHour, pad: "x".repeat(length) });
    expect(await enter(await sized(6000))).toMatchObject({ subject: "s" });
    expect(await enter(await sized(6200))).toBe("invalid-token");
  });
});

describe("keys", () => {
  test("that fit are tried one after the other, and the one that verifies fixes the application", async () => {
    const other = "another secret of thirty-two bytes!!";
    const { enter } = await openWith([hs256], { acme: [{ algorithm: "HS256", secret: other }] });
    const claims = { sub: "s", exp: inAnHour };
    expect(await enter(await mint(claims))).toMatchObject({ app: "main" });
    expect(await enter(await mint(claims, {}, new TextEncoder().encode(other)))).toMatchObject({ app: "acme" });
  });

  test("with a key id take tokens that name it or none", async () => {
    const { enter } = await openWith([{ ...hs256, keyId: "k1" }]);
    const claims = { sub: "s", exp: inAnHour };
    expect(await enter(await mint(claims, { kid: "k1" }))).toMatchObject({ subject: "s" });
    expect(await enter(await mint(claims))).toMatchObject({ subject: "s" });
    expect(await enter(await mint(claims, { kid: "k2" }))).toBe("invalid-token");
  });

  test("with issuer and audience take only what is made for them", async () => {
    const { enter } = await openWith([{ ...hs256, issuer: "me", audience: "tagcast" }]);
    const claims = { sub: "s", exp: inAnHour };
    expect(await enter(await mint({ ...claims, iss: "me", aud: ["x", "tagcast"] }))).toMatchObject({ subject: "s" });
    expect(await enter(await mint({ ...claims, iss: "me" }))).toBe("invalid-token");
    expect(await enter(await mint({ ...claims, iss: "you", aud: "tagcast" }))).toBe("invalid-token");
    expect(await enter(await mint({ ...claims, aud: "tagcast" }))).toBe("invalid-token");
  });

  test("shared by two applications are told apart by audience, in any order", async () => {
    const { enter } = await openWith([{ ...hs256, audience: "a" }], { acme: [{ ...hs256, audience: "b" }] });
    const into = async (aud: string) => ((await enter(await mint({ sub: "s", exp: inAnHour, aud }))) as Identity).app;
    expect([await into("a"), await into("b")]).toEqual(["main", "acme"]);
  });

  test("of another application say expired only to who has them", async () => {
    const { enter } = await openWith([{ ...hs256, audience: "a" }], { acme: [{ ...hs256, audience: "b" }] });
    expect(await enter(await mint({ sub: "s", exp: now - 100, aud: "b" }))).toBe("expired-token");
  });
});
