/** Credentials: files of managed tokens, and JWTs that somebody tampered with. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { verifyJwt } from "../../../src/auth/jwt.ts";
import { type OpenKeys, openKeys } from "../../../src/auth/keys.ts";
import { readTokenFile } from "../../../src/auth/token-file.ts";
import { withCreated, withRevocation, emptyState } from "../../../src/auth/token-state.ts";
import { AuthenticationError } from "../../../src/core/authenticator.ts";
import { Grants } from "../../../src/core/grants.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { TokenStoreError } from "../../../src/core/token-store.ts";
import { scratchDirectory } from "../../harness/server.ts";
import { FakeClock } from "../../harness/clock.ts";
import { forge, mint, pairs, pemOf, secret } from "../../unit/auth/mint.ts";
import type { Target } from "../engine.ts";
import { placeOf } from "../place.ts";

const encoder = new TextEncoder();
const words = [
  "__proto__",
  "grants",
  "deny",
  "#",
  "${client}",
  "null",
  "{}",
  "[]",
  "-1",
  '"',
  "}",
  "\\u0000",
  "\\ud800",
];

export const tokenFileTarget: Target = {
  name: "token-file",
  bytesMax: 3000,
  words: [...words, '"version":1', '"tokens"', '"revoked"', '"readwrite"', '"hash"'],
  seeds() {
    const { state } = withCreated(emptyState, { app: "main", name: "n", grants: { "a/${client}": ["read"] } }, 1);
    const more = withCreated(state, { app: "x", name: "m", grants: {}, deny: { "#": ["admin"] }, client: "c" }, 2);
    const all = withRevocation(more.state, { app: "main", jti: "j" }, 3).state;
    const texts = [emptyState, state, more.state, all].map((each) => JSON.stringify({ version: 1, ...each }));
    return ["", "{}", ...texts].map((text) => encoder.encode(text));
  },
  open() {
    const directory = scratchDirectory();
    const path = join(directory.path, "tokens.json");
    return {
      async run(input) {
        writeFileSync(path, input);
        const first = await readTokens(path);
        if (typeof first === "string") return first;
        for (const { grants, deny, client, subject } of first.state.tokens)
          new Grants(grants, deny, { client, sub: subject }).allows("publish", "a/b");
        writeFileSync(path, JSON.stringify({ version: 1, ...first.state }));
        const second = await readTokens(path);
        if (typeof second === "string" || !Bun.deepEquals(first.state, second.state))
          throw new Error("The file means something else when written again");
        return `${first.state.tokens.length} ${first.state.revoked.length}`;
      },
      close: () => directory[Symbol.dispose](),
    };
  },
};

async function readTokens(path: string) {
  try {
    return (await readTokenFile(path)) ?? "none";
  } catch (error) {
    if (error instanceof TokenStoreError && error.reason === "unavailable")
      return error.message.split(": ").slice(1).join(": ").replace(/\d+/g, "#").slice(0, 60);
    throw error;
  }
}

const nowSeconds = 1_800_000_000;
const claims = { sub: "ann", exp: nowSeconds + 60, iat: nowSeconds, grants: { "a/#": ["read"] }, client: "c" };

/** Texts that are signed, by what they claim; made once, as signatures of ES256 differ each time. */
const signed = Promise.all([
  mint(claims),
  mint({ ...claims, deny: { a: ["admin"] }, jti: "j", nbf: nowSeconds }),
  mint(claims, { alg: "RS256" }, pairs.RS256.privateKey),
  mint(claims, { alg: "ES256" }, pairs.ES256.privateKey),
  mint(claims, { alg: "EdDSA" }, pairs.EdDSA.privateKey),
]);

export const jwtTarget: Target = {
  name: "jwt",
  bytesMax: 2000,
  words: [
    ...words,
    '"alg":"none"',
    '"alg":"HS256"',
    '"kid":"../k"',
    '"crit":["exp"]',
    '"b64":false',
    '"jwk":{}',
    "\n",
    "=",
  ],
  async seeds() {
    const forged = [
      forge({ alg: "none" }, claims),
      forge({ alg: "HS256", crit: ["x"] }, claims, "AAAA"),
      "..",
      "a.b.c",
    ];
    const parts = [...(await signed), ...forged].map((token) => token.split("."));
    const open = parts.map(([header = "", body = "", signature]) => {
      return [Buffer.from(header, "base64url"), Buffer.from(body, "base64url"), signature].join("\n");
    });
    return [...open, ...(await signed)].map((text) => encoder.encode(text));
  },
  async open() {
    const opened = await keys();
    const clock = new FakeClock(nowSeconds * 1000);
    const known = new Set((await signed).map((token) => token.split(".")[1]));
    return {
      async run(input) {
        const token = tokenOf(Buffer.from(input).toString("latin1"));
        try {
          await verifyJwt(token, { keys: opened.keys, clock, clockSkewMs: 1000 });
        } catch (error) {
          if (error instanceof AuthenticationError) return `${error.code.name} ${placeOf(error)}`;
          throw error;
        }
        if (!known.has(token.split(".")[1])) throw new Error(`Was never signed: ${token}`);
        return "verified";
      },
      close: () => opened.close(),
    };
  },
};

/** Header and claims, a line each, and the signature in base64; without lines it is the token itself. */
function tokenOf(text: string): string {
  const [header = "", body, signature = ""] = text.split("\n", 3);
  if (body === undefined) return text;
  return [
    ...[header, body].map((part) => Buffer.from(part, "latin1").toBase64({ alphabet: "base64url", omitPadding: true })),
    signature,
  ].join(".");
}

function keys(): Promise<OpenKeys> {
  const asymmetric = (["RS256", "ES256", "EdDSA"] as const).map((algorithm) => ({
    algorithm,
    publicKey: pemOf(algorithm),
  }));
  const applications = [{ name: "main", keys: [{ algorithm: "HS256" as const, secret }, ...asymmetric] }];
  return openKeys(applications, { clock: new FakeClock(), logger: silentLogger });
}
