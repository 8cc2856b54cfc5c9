/** `tagcast token`: the file through the eyes of who types, and JWTs that the authenticator takes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAuthenticator } from "../../../src/auth/authenticator.ts";
import { openFileTokens } from "../../../src/auth/file-tokens.ts";
import { MemoryTokens } from "../../../src/auth/memory-tokens.ts";
import { run as runProgram } from "../../../src/cli/run.ts";
import type { KeyConfig } from "../../../src/core/key-config.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { recordedIo } from "../../harness/cli-io.ts";
import { pairs, pemOf, secret } from "../auth/mint.ts";

let directory = "";
let files = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tagcast-token-"));
});
afterAll(() => rm(directory, { recursive: true }));

const newFile = () => join(directory, `${files++}.json`);

async function token(argv: readonly string[], path?: string, stdin?: string) {
  const recorded = recordedIo(path === undefined ? {} : { TAGCAST_TOKENS: path });
  const io = stdin === undefined ? recorded : { ...recorded, stdin: new Response(stdin).body! };
  const status = await runProgram(["token", ...argv], io);
  return { status, out: recorded.outLines.join("\n"), err: recorded.errLines.join("\n") };
}

async function authenticatorOf(path: string | null, keys: readonly KeyConfig[] = []) {
  const parts = { clock: systemClock, logger: silentLogger };
  const store = path === null ? new MemoryTokens(systemClock) : await openFileTokens({ path, follow: false, ...parts });
  return openAuthenticator({ applications: [{ name: "main", keys }], store, adminToken: null, ...parts });
}

describe("token create", () => {
  test("prints the secret alone on standard output, and it authenticates with what was granted", async () => {
    const path = newFile();
    const { status, out, err } = await token(
      [
        "create",
        "--name",
        "press",
        "--grant",
        "plant/7/#=read",
        "--grant",
        "plant/7/#=publish",
        "--grant",
        "a=b/c=admin",
        "--deny",
        "plant/7/off=publish",
        "--connections",
        "2",
        "--messages-per-second",
        "500",
        "--bytes-per-second",
        "64KiB",
        "--expires",
        "1h",
        "--app",
        "acme",
        "--client",
        "press-7",
      ],
      path,
    );
    expect(status).toBe(0);
    expect(out).toMatch(/^tct_[\w-]{43}$/);
    expect(err).toContain("press");
    const identity = await (await authenticatorOf(path)).authenticate(out);
    expect(identity).toMatchObject({
      app: "acme",
      client: "press-7",
      connectionsMax: 2,
      messagesPerSecond: 500,
      bytesPerSecond: 65_536,
    });
    expect(identity.expiresAtMs! - Date.now()).toBeWithin(3_500_000, 3_600_001);
    expect(identity.grants.allowsAll("subscribe", "plant/7/#")).toBe(true);
    expect(identity.grants.allows("publish", "plant/7/on")).toBe(true);
    expect(identity.grants.allows("publish", "plant/7/off")).toBe(false);
    expect(identity.grants.allows("admin", "a=b/c")).toBe(true);
  });

  test("--json prints everything but the hash", async () => {
    const { out } = await token(["create", "--grant", "#=readwrite", "--json"], newFile());
    expect(JSON.parse(out)).toMatchObject({
      id: expect.any(String),
      secret: expect.stringMatching(/^tct_/),
      app: "main",
    });
    expect(out).not.toContain("hash");
  });

  const wrong: [what: string, argv: string[], complaint: string][] = [
    ["no grant", [], "--grant"],
    ["a grant without operations", ["--grant", "a/b"], "pattern=operation"],
    ["an unknown operation", ["--grant", "a=fly"], '"fly"'],
    ["an invalid pattern", ["--grant", "a/#/b=read"], '"a/#/b"'],
    ["a duration without a unit", ["--grant", "a=read", "--expires", "30"], "duration"],
    ["no connections", ["--grant", "a=read", "--connections", "0"], "number from 1"],
    ["no messages", ["--grant", "a=read", "--messages-per-second", "0"], "--messages-per-second must be"],
    ["an unknown option", ["--grant", "a=read", "--granted"], "--granted"],
    ["an argument too many", ["--grant", "a=read", "more"], '"more"'],
  ];
  for (const [what, argv, complaint] of wrong) {
    test(`with ${what} exits with 2 and writes no file`, async () => {
      const path = newFile();
      const { status, err } = await token(["create", ...argv], path);
      expect([status, err]).toEqual([2, expect.stringContaining(complaint)]);
      expect(await Bun.file(path).exists()).toBe(false);
    });
  }

  test("without a file named exits with 2", async () => {
    expect(await token(["create", "--grant", "a=read"])).toMatchObject({
      status: 2,
      err: expect.stringContaining("--tokens"),
    });
  });

  test("that the store refuses exits with 1", async () => {
    const { status, err } = await token(["create", "--grant", "a=read", "--app", "A/B"], newFile());
    expect([status, err]).toEqual([1, expect.stringContaining("app:")]);
  });
});

describe("token list, edit and revoke", () => {
  async function created(...argv: string[]) {
    const path = newFile();
    const { out } = await token(["create", "--grant", "a/#=read", "--json", ...argv], path);
    return { path, ...(JSON.parse(out) as { id: string; secret: string }) };
  }

  test("list shows what tokens may do, safe for a terminal, and no secret", async () => {
    const { path, id } = await created("--name", "caf\u00e9 \u202e");
    const { status, out } = await token(["list"], path);
    expect(status).toBe(0);
    expect(out).toContain(`${id}  café \\u202e`);
    expect(out).toContain("grant a/#=read");
    expect(JSON.parse((await token(["list", "--json"], path)).out)).toHaveLength(1);
    expect((await token(["list"], newFile())).out).toBe("");
  });

  test("edit replaces what is given and keeps the rest", async () => {
    const { path, id, secret: held } = await created("--deny", "a/b=read", "--expires", "1h");
    expect((await token(["edit", id, "--grant", "b=publish", "--expires", "never"], path)).status).toBe(0);
    const identity = await (await authenticatorOf(path)).authenticate(held);
    expect(identity.expiresAtMs).toBeNull();
    expect(identity.grants.allows("publish", "b")).toBe(true);
    expect(identity.grants.allows("subscribe", "a/c")).toBe(false);
    const shown = async () => JSON.parse((await token(["list", "--json"], path)).out)[0].deny;
    expect(await shown()).toEqual({ "a/b": ["read"] });
    await token(["edit", id, "--clear-deny"], path);
    expect(await shown()).toEqual({});
  });

  test("revoke ends a token", async () => {
    const { path, id, secret: held } = await created();
    expect((await token(["revoke", id], path)).status).toBe(0);
    const auth = await authenticatorOf(path);
    expect(() => auth.authenticate(held)).toThrow("The token is not valid");
  });

  test("revoke by subject and jti is kept in the file", async () => {
    const path = newFile();
    expect((await token(["revoke", "--jti", "j", "--app", "acme"], path)).status).toBe(0);
    expect((await token(["revoke", "--subject", "s", "--issued-before", "2031-05-01T12:00:00Z"], path)).status).toBe(0);
    expect(JSON.parse(await readFile(path, "utf8")).revoked).toMatchObject([
      { app: "acme", jti: "j", subject: null, issuedBeforeMs: null },
      { app: "main", jti: null, subject: "s", issuedBeforeMs: Date.UTC(2031, 4, 1, 12) },
    ]);
  });

  test("an unknown id exits with 1, an incomplete command line with 2", async () => {
    const { path } = await created();
    expect(await token(["edit", "zzz", "--name", "x"], path)).toMatchObject({
      status: 1,
      err: expect.stringContaining("zzz"),
    });
    expect(await token(["revoke", "zzz"], path)).toMatchObject({ status: 1 });
    for (const argv of [
      ["edit"],
      ["edit", "a"],
      ["revoke"],
      ["revoke", "a", "--jti", "b"],
      ["revoke", "a", "--app", "b"],
      ["revoke", "--jti", "b", "--issued-before", "x"],
    ])
      expect([argv, (await token(argv, path)).status]).toEqual([argv, 2]);
  });

  test("a broken file exits with 1 and is left alone", async () => {
    const path = newFile();
    await writeFile(path, "{");
    for (const argv of [["list"], ["create", "--grant", "a=read"], ["revoke", "a"]])
      expect(await token(argv, path)).toMatchObject({ status: 1, err: expect.stringContaining("not JSON") });
    expect(await readFile(path, "utf8")).toBe("{");
  });
});

describe("token sign", () => {
  test("makes an HS256 token that the server takes, good for an hour", async () => {
    const { status, out } = await token([
      "sign",
      "--secret",
      secret,
      "--sub",
      "ann",
      "--client",
      "phone",
      "--grant",
      "u/${sub}=publish",
      "--connections",
      "3",
      "--messages-per-second",
      "unlimited",
    ]);
    expect(status).toBe(0);
    const auth = await authenticatorOf(null, [{ algorithm: "HS256", secret }]);
    const identity = await auth.authenticate(out);
    expect(identity).toMatchObject({
      subject: "ann",
      client: "phone",
      connectionsMax: 3,
      messagesPerSecond: 0,
      bytesPerSecond: null,
    });
    expect(identity.grants.allows("publish", "u/ann")).toBe(true);
    expect(identity.expiresAtMs! - Date.now()).toBeWithin(3_590_000, 3_600_001);
    expect(identity.tokenId).toMatch(/^jwt:[0-9a-f-]{36}$/);
  });

  test("takes the algorithm from the key, as PEM and as JWK", async () => {
    for (const algorithm of ["RS256", "ES256", "EdDSA"] as const) {
      const auth = await authenticatorOf(null, [
        { algorithm, publicKey: pemOf(algorithm), issuer: "me", audience: "tc" },
      ]);
      const texts = [
        pairs[algorithm].privateKey.export({ type: "pkcs8", format: "pem" }),
        JSON.stringify(pairs[algorithm].privateKey.export({ format: "jwk" })),
      ];
      for (const text of texts) {
        const key = newFile();
        await writeFile(key, text);
        const { out } = await token([
          "sign",
          "--key",
          key,
          "--sub",
          "s",
          "--issuer",
          "me",
          "--audience",
          "tc",
          "--jti",
          "j1",
        ]);
        expect(await auth.authenticate(out)).toMatchObject({ subject: "s", tokenId: "jwt:j1" });
      }
    }
  });

  test("takes an HS256 secret from a file, without the line's end", async () => {
    const key = newFile();
    await writeFile(key, `${secret}\n`);
    const { out } = await token(["sign", "--key", key, "--algorithm", "HS256", "--sub", "s"]);
    const auth = await authenticatorOf(null, [{ algorithm: "HS256", secret }]);
    expect(await auth.authenticate(out)).toMatchObject({ subject: "s" });
  });

  test("refuses what no server would take", async () => {
    expect(await token(["sign", "--sub", "s", "--secret", "short"])).toMatchObject({
      status: 1,
      err: expect.stringContaining("32 bytes"),
    });
    expect(await token(["sign", "--sub", "s", "--key", "/no/such/file"])).toMatchObject({ status: 1 });
    const key = newFile();
    await writeFile(key, pairs.ES256.privateKey.export({ type: "pkcs8", format: "pem" }));
    expect(await token(["sign", "--sub", "s", "--key", key, "--algorithm", "RS256"])).toMatchObject({ status: 1 });
    for (const argv of [
      ["--sub", "s"],
      ["--secret", secret],
      ["--sub", "s", "--secret", secret, "--algorithm", "none"],
      ["--sub", "s", "--secret", secret, "--expires", "never"],
    ])
      expect([argv, (await token(["sign", ...argv])).status]).toEqual([argv, 2]);
  });
});

describe("token decode", () => {
  const signed = async (...argv: string[]) => (await token(["sign", "--secret", secret, "--sub", "ann", ...argv])).out;

  test("says that the signature is not checked, unless a key is given", async () => {
    const jwt = await signed();
    const { status, out } = await token(["decode", jwt]);
    expect(status).toBe(0);
    expect(out).toContain('"sub":"ann"');
    expect(out).toContain("times: hold");
    expect(out).toContain("signature: not checked");
    expect(await token(["decode", jwt, "--secret", secret])).toMatchObject({
      status: 0,
      out: expect.stringContaining("signature: valid"),
    });
    expect(await token(["decode", jwt, "--secret", `${secret}x`])).toMatchObject({
      status: 1,
      out: expect.stringContaining("signature: INVALID"),
    });
  });

  test("does not let the header choose the algorithm", async () => {
    const key = newFile();
    await writeFile(key, pemOf("RS256"));
    const forged = await token(["sign", "--secret", secret, "--sub", "s"]);
    expect(await token(["decode", forged.out, "--key", key])).toMatchObject({
      status: 1,
      out: expect.stringContaining("INVALID"),
    });
  });

  test("tells which times do not hold", async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const jwt = (claims: object) => `${part({ alg: "HS256" })}.${part(claims)}.AA`;
    const problems = async (claims: object) =>
      JSON.parse((await token(["decode", jwt(claims), "--json"])).out).problems.join();
    expect(await problems({ exp: 1000 })).toBe("expired");
    expect(await problems({})).toContain("no exp");
    expect(await problems({ exp: 9e9, nbf: 8e9, iat: 8e9 })).toMatch(/nbf.*iat/);
    expect(await problems({ exp: 9e9, iat: 1000 })).toBe("");
  });

  test("reads from standard input, and exits with 1 for what is no JWT", async () => {
    const jwt = await signed();
    expect(await token(["decode", "-"], undefined, `${jwt}\n`)).toMatchObject({
      status: 0,
      out: expect.stringContaining("ann"),
    });
    for (const text of ["x", "a.b.c", "", "\u001b[2J.b.c"])
      expect(await token(["decode", text])).toMatchObject({ status: 1, out: "" });
  });
});

test("every form has its help, with status 0", async () => {
  for (const form of ["create", "list", "edit", "revoke", "sign", "decode"])
    expect(await token([form, "--help"])).toMatchObject({
      status: 0,
      out: expect.stringContaining(`tagcast token ${form}`),
    });
  expect((await token(["--help"])).out).toContain("tagcast token sign");
});

test("an unknown form exits with 2 and names the nearest", async () => {
  expect(await token(["crate"])).toMatchObject({ status: 2, err: expect.stringContaining('did you mean "create"') });
  expect((await token([])).status).toBe(2);
});

test("token sign says what is wrong with a key file in words of its own", async () => {
  const path = newFile();
  await writeFile(path, "a secret in a file, without a word on its algorithm\n");
  const sign = ["sign", "--sub", "ann", "--key"];
  const unknown = await token([...sign, path]);
  expect([unknown.status, unknown.err]).toEqual([1, expect.stringContaining("say --algorithm HS256")]);
  const missing = await token([...sign, "nowhere.pem"]);
  expect([missing.status, missing.err]).toEqual([1, 'tagcast token: cannot sign: there is no file "nowhere.pem"']);
});
