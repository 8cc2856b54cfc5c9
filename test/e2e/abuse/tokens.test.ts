/**
 * Theft and forgery of tokens: no secret is found anywhere it was not put by its owner, and what is forged is refused where a
 * verifier that trusts tokens would have let it in.
 */
import { createHmac, createPublicKey, type JsonWebKeyInput, verify } from "node:crypto";
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { op } from "../../../src/wire/messages.ts";
import { tryUpgrade } from "../../harness/http-head.ts";
import { Program, scratchDirectory, startProcess, startServer } from "../../harness/server.ts";
import { WireClient } from "../../harness/wire-client.ts";
import { Caller } from "../../integration/api/caller.ts";
import { forge, jwkOf, mint, pairs, pemOf } from "../../unit/auth/mint.ts";

const longMs = 20_000;
const nowSeconds = Math.floor(Date.now() / 1000);

/** The secrets that a text holds, in whatever form somebody could use them. */
function foundIn(text: string, secrets: Readonly<Record<string, string>>): string[] {
  const forms = (secret: string) => [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64")];
  return Object.keys(secrets).filter((name) => forms(secrets[name] ?? "").some((form) => text.includes(form)));
}

describe("secrets", () => {
  const fixed = {
    admin: "the-admin-token-of-this-test",
    hs256: "the-hs256-key-of-this-test-0123456789",
    loginKey: "the-login-key-of-this-test-0123456789",
    wrong: "a-token-that-nobody-issued",
  };

  test.each(["json", "pretty"])(
    "are in no log (%s), no metric, no answer, no file and no list",
    async (format) => {
      using scratch = scratchDirectory();
      const [config, tokens, audit] = ["c.toml", "tokens.json", "audit.log"].map((name) => join(scratch.path, name));
      await Bun.write(config ?? "", `[[keys]]\nalgorithm = "HS256"\nsecret = "${fixed.hs256}"\n`);
      const flags = ["--config", config ?? "", "--tokens", tokens ?? "", "--audit-log", audit ?? ""];
      const env = { TAGCAST_ADMIN_TOKEN: fixed.admin, TAGCAST_LOGIN_KEY: fixed.loginKey };
      const args = [...flags, "--log-level", "trace", "--log-format", format];
      await using server = await startProcess({ args, env });
      const jwt = await mint(
        { sub: "joe", exp: nowSeconds + 600, grants: { "#": ["read"] } },
        {},
        new TextEncoder().encode(fixed.hs256),
      );
      const admin = new Caller(server, fixed.admin);
      const created = await admin.call("/v1/tokens", { json: { name: "n", grants: { "#": ["readwrite"] } } });
      const { secret: managed } = created.body as { secret: string };
      const origin = server.http;
      const login = await admin.call("/login", { method: "POST", headers: { origin } });
      const ticket = login.headers.getSetCookie()[0]?.split(";")[0]?.replace("tagcast=", "") ?? "";
      expect(ticket).toStartWith("tcl_");
      const secrets = { ...fixed, jwt, managed, ticket };
      const answers: string[] = [JSON.stringify(login.body)];
      for (const secret of [fixed.admin, jwt, managed, fixed.wrong, `${managed}x`, jwt.slice(0, -3), ticket]) {
        const calls = [
          { path: "/v1/tokens", headers: { authorization: `Bearer ${secret}` } },
          { path: "/v1/tokens", headers: { cookie: `tagcast=${secret}`, origin } },
          { path: "/v1/connections", headers: { authorization: `Bearer ${secret}` } },
          { path: "/events?tags=a%00", headers: { authorization: `Bearer ${secret}` } },
          { path: "/metrics", headers: { authorization: `Bearer ${secret}` } },
          { path: `/v1/history?tag=a&token=${encodeURIComponent(secret)}`, headers: {} },
          { path: `/${encodeURIComponent(secret)}`, headers: {} },
        ];
        for (const { path, headers } of calls)
          answers.push(Buffer.from((await new Caller(server, null).call(path, { headers })).bytes).toString());
        const upgrade = await tryUpgrade(server.url, { path: `/ws?token=${secret}`, headers: { Tag: "%zz" } });
        answers.push(JSON.stringify(upgrade));
        await using client = await WireClient.open(server.url);
        const [kind] = await client.request(op.connect, { token: secret });
        if (kind === op.ok) await client.request(op.refresh, fixed.wrong);
        answers.push(JSON.stringify(client.received));
      }
      server.signal("SIGTERM");
      await server.end();
      const shown = new Program({ args: ["config", "show", ...flags], env });
      await shown.end();
      const json = new Program({ args: ["config", "show", "--json", ...flags], env });
      await json.end();
      const places = {
        log: server.stderr,
        "standard output": server.stdout,
        answers: answers.join("\n"),
        audit: readFileSync(audit ?? "", "utf8"),
        tokens: readFileSync(tokens ?? "", "utf8"),
        "config show": shown.stdout + shown.stderr + json.stdout,
      };
      expect(server.stderr.length).toBeGreaterThan(1000);
      for (const [place, text] of Object.entries(places)) {
        expect({ place, found: foundIn(text, secrets) }).toEqual({ place, found: [] });
      }
      // What looks for them finds them where they are.
      expect(foundIn(`authorization: Bearer ${managed}`, secrets)).toEqual(["managed"]);
      expect(foundIn(`?token=${encodeURIComponent(jwt)}`, secrets)).toEqual(["jwt"]);
    },
    longMs,
  );

  test("in a URL let nobody in", async () => {
    await using server = await startServer();
    const token = "admin-token-for-tests";
    const anonymous = new Caller(server, null);
    for (const name of ["token", "access_token", "jwt", "authorization", "key"]) {
      expect(await anonymous.problem(`/v1/tokens?${name}=${token}`)).toEqual([401, 101]);
      expect(await anonymous.problem(`/events?tags=a&${name}=${token}`)).toEqual([401, 101]);
      await using client = await WireClient.open(`${server.url}?${name}=${token}`);
      expect(await client.refused(op.subscribe, "a")).toBe(101);
    }
  });
});

/** Claims of a JWT that a verifier takes for good without asking more, or null: what many a server was attacked through. */
function naive(token: string, publicPem: string): Record<string, unknown> | null {
  const [head = "", body = "", signature = ""] = token.split(".");
  const read = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
  const { alg, jwk } = read(head);
  const signed = Buffer.from(`${head}.${body}`);
  if (String(alg).toLowerCase() === "none") return read(body);
  if (alg === "HS256") {
    return createHmac("sha256", publicPem).update(signed).digest("base64url") === signature ? read(body) : null;
  }
  const key = createPublicKey(jwk === undefined ? publicPem : ({ key: jwk, format: "jwk" } as JsonWebKeyInput));
  return verify("sha256", signed, key, Buffer.from(signature, "base64url")) ? read(body) : null;
}

describe("a forged JWT", () => {
  const pem = pemOf("RS256");
  const iss = "https://issuer.example";
  const aud = "tagcast";
  const claims = { sub: "joe", exp: nowSeconds + 600, iss, aud, grants: { "#": ["readwrite"] } };
  const rs256 = (more: object, header: object = {}) =>
    mint({ ...claims, ...more }, { alg: "RS256", ...header }, pairs.RS256.privateKey);
  const toml = `
[[keys]]
algorithm = "RS256"
public-key = """${pem}"""
issuer = "${iss}"
audience = "${aud}"
`;
  const confused = () => {
    const unsigned = forge({ alg: "HS256", typ: "JWT" }, claims).slice(0, -1);
    return `${unsigned}.${createHmac("sha256", pem).update(unsigned).digest("base64url")}`;
  };
  const embedded = () => mint(claims, { alg: "ES256", jwk: jwkOf("ES256") }, pairs.ES256.privateKey);

  test.each([
    ["without a signature", 117, () => forge({ alg: "none" }, claims)],
    ["without one, by another spelling", 117, () => forge({ alg: "nOnE" }, claims)],
    ["signed with the public key as a secret", 117, confused],
    ["that has expired", 118, () => rs256({ exp: nowSeconds - 60 })],
    ["that never expires", 117, () => rs256({ exp: undefined })],
    ["that is not valid yet", 117, () => rs256({ nbf: nowSeconds + 600 })],
    ["issued in the future", 117, () => rs256({ iat: nowSeconds + 600 })],
    ["of another issuer", 117, () => rs256({ iss: "https://evil.example" })],
    ["for another audience", 117, () => rs256({ aud: "another-service" })],
  ] as const)("%s is refused, and a verifier without the defence lets it in", async (_, code, make) => {
    const token = await make();
    expect(naive(token, pem)).toMatchObject({ sub: "joe" });
    await using server = await startServer({ toml });
    await using client = await server.dial();
    expect(await client.refused(op.connect, { token })).toBe(code);
  });

  test("that brings its own key is refused, and a verifier that takes it lets it in", async () => {
    const token = await embedded();
    const [head = "", body = "", signature = ""] = token.split(".");
    const { jwk } = JSON.parse(Buffer.from(head, "base64url").toString()) as { jwk: JsonWebKeyInput["key"] };
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const bytes = Buffer.from(signature, "base64url");
    expect(verify("sha256", Buffer.from(`${head}.${body}`), { key, dsaEncoding: "ieee-p1363" }, bytes)).toBe(true);
    await using server = await startServer({ toml });
    await using client = await server.dial();
    expect(await client.refused(op.connect, { token })).toBe(117);
  });

  test("is told from a good one, which both let in, within the skew that is configured", async () => {
    expect(naive(await rs256({}), pem)).toMatchObject({ sub: "joe" });
    const now = () => Math.floor(Date.now() / 1000);
    await using server = await startServer({ toml, flags: ["--clock-skew", "30s"] });
    for (const more of [{}, { exp: now() - 5 }, { nbf: now() + 20 }]) {
      await using client = await server.connect({ token: await rs256(more) });
      expect(client.welcome["version"]).toBe(1);
    }
    await using strict = await startServer({ toml, flags: ["--clock-skew", "0"] });
    await using client = await strict.dial();
    expect(await client.refused(op.connect, { token: await rs256({ exp: now() - 5 }) })).toBe(118);
  });
});
