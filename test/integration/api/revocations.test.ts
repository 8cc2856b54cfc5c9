/** Revocations of JWTs over HTTP: they act at once, in their application alone, until they are taken back. */
import { expect, test } from "bun:test";
import { disconnects } from "../../../src/core/codes.ts";
import { startServer } from "../../harness/server.ts";
import { mint, secret } from "../../unit/auth/mint.ts";
import { Caller } from "./caller.ts";

const key = (at: string) => `[[${at}keys]]\nalgorithm = "HS256"\nsecret = "${secret}${at}"\n`;
const exp = Math.floor(Date.now() / 1000) + 600;
const grants = { "#": ["readwrite"] };

interface Revocation {
  readonly id: string;
}

async function revoke(caller: Caller, json: object): Promise<Revocation> {
  const { status, body } = await caller.call("/v1/revocations", { json });
  expect(status).toBe(201);
  return body as Revocation;
}

test("what was issued to a subject until now is refused and its connections end; what is issued later is not", async () => {
  await using server = await startServer({ toml: key("") });
  const caller = new Caller(server);
  const nowS = Math.floor(Date.now() / 1000);
  const old = await mint({ sub: "ann", iat: nowS - 60, exp, grants });
  await using client = await server.connect({ token: old });
  await using other = await server.connect({ token: await mint({ sub: "bob", iat: nowS - 60, exp, grants }) });
  const revocation = await revoke(caller, { subject: "ann" });
  expect(revocation).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    jti: null,
    subject: "ann",
    issuedBeforeMs: expect.any(Number) as number,
    expiresAtMs: null,
    revokedAtMs: expect.any(Number) as number,
  } as unknown as Revocation);
  expect((await client.next(22))[1]).toBe(disconnects.revoked.code);
  const publication = { tag: "a", payload: 1 };
  expect((await new Caller(server, old).publish(publication)).status).toBe(401);
  const later = await mint({ sub: "ann", iat: nowS + 5, exp, grants });
  expect((await new Caller(server, later).publish(publication)).status).toBe(200);
  await other.ok(9);
  expect((await caller.call(`/v1/revocations/${revocation.id}`, { method: "DELETE" })).status).toBe(204);
  expect((await new Caller(server, old).publish(publication)).status).toBe(200);
  expect(await caller.problem(`/v1/revocations/${revocation.id}`, { method: "DELETE" })).toEqual([404, 107]);
});

test("revocations are listed page by page", async () => {
  await using server = await startServer();
  const caller = new Caller(server);
  const made: Revocation[] = [];
  for (const jti of ["a", "b", "c"]) made.push(await revoke(caller, { jti }));
  const [first, second, third] = made.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const page = async (query: object) => (await caller.get("/v1/revocations", { limit: 2, ...query })).body;
  expect(await page({})).toEqual({ revocations: [first, second], more: true });
  expect(await page({ after: second?.id })).toEqual({ revocations: [third], more: false });
  // The same once more is the same revocation.
  expect((await revoke(caller, { jti: "a" })).id).toBe(made[0]?.id as string);
});

test.each([{}, { jti: "" }, { subject: "" }, { jti: "j", issuedBefore: 1 }, { subject: "s", expiresAtMs: -1 }])(
  "a revocation that says nothing, or too much, is refused: %j",
  async (json) => {
    await using server = await startServer();
    expect(await new Caller(server).problem("/v1/revocations", { json })).toEqual([400, 107]);
  },
);

test("administrators see, make and take back the revocations of their own application alone", async () => {
  await using server = await startServer({ toml: key("applications.acme.") + key("") });
  const admin = { sub: "boss", exp, grants: { "#": ["admin"] } };
  const acme = new Caller(server, await mint(admin, {}, new TextEncoder().encode(`${secret}applications.acme.`)));
  const main = new Caller(server);
  const revocation = await revoke(acme, { subject: "ann" });
  expect((await main.get("/v1/revocations")).body).toEqual({ revocations: [], more: false });
  expect(await main.problem(`/v1/revocations/${revocation.id}`, { method: "DELETE" })).toEqual([404, 107]);
  const token = await mint({ sub: "ann", iat: 1, exp, grants });
  expect((await new Caller(server, token).publish({ tag: "a", payload: 1 })).status).toBe(200);
  expect((await acme.get("/v1/revocations")).body).toEqual({ revocations: [revocation], more: false });
});
