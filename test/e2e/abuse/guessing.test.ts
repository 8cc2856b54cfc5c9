/** Guessing tokens: from one address, by every way in, until nothing more is looked at; and with the defence off, with success. */
import { describe, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { tryUpgrade } from "../../harness/http-head.ts";
import { adminToken, SocketClock, startServer, type TestServer } from "../../harness/server.ts";
import { Caller, problemOf } from "../../integration/api/caller.ts";

/** A proxy on this machine says whose request it is. */
const proxied = ["--trusted-proxies", "127.0.0.1"];
const guesser = "198.51.100.7";
const other = "203.0.113.9";

const from = (address: string) => ({ "X-Forwarded-For": address });
/** A dictionary in which the token stands behind more words than may be tried. */
const dictionary = [...Array.from({ length: 29 }, (_, i) => `password-number-${i}`), adminToken];

async function statusOf(server: TestServer, token: string, address: string): Promise<number> {
  return (await new Caller(server, token).call("/v1/tokens", { headers: from(address) })).status;
}

/** The first word that lets in, or null. */
async function attack(server: TestServer, address: string): Promise<string | null> {
  for (const word of dictionary) if ((await statusOf(server, word, address)) === 200) return word;
  return null;
}

async function metric(server: TestServer, name: string): Promise<number> {
  const text = Buffer.from((await new Caller(server).get("/metrics")).bytes).toString();
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

describe("who guesses tokens", () => {
  test("finds one where the defence is off", async () => {
    await using server = await startServer({ flags: [...proxied, "--authentication-failures-max", "0"] });
    expect(await attack(server, guesser)).toBe(adminToken);
  });

  test("is not heard any more after 20 failures, not even with the right one; counted, and logged with its address", async () => {
    await using server = await startServer({ flags: proxied, clock: new SocketClock() });
    expect(await attack(server, guesser)).toBe(null);
    expect(server.log.of("address throttled: too many credentials that are not valid")).toMatchObject([
      { level: "warn", fields: { from: guesser } },
    ]);
    expect(server.log.of("credential refused")).toHaveLength(20);
    expect(await metric(server, "tagcast_authentication_failures_total")).toBe(20);
    expect(await metric(server, "tagcast_authentication_throttled_total")).toBe(10);
    expect(await metric(server, "tagcast_guessing_addresses")).toBe(1);
    expect(await statusOf(server, adminToken, other)).toBe(200);
  });

  test("is told by every way in to come back later, and when", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ flags: proxied, clock });
    await using established = await server.connect();
    await attack(server, guesser);
    const headers = from(guesser);
    const upgrade = await tryUpgrade(server.url, { headers: { ...headers, Authorization: `Bearer ${adminToken}` } });
    expect([upgrade.status, upgrade.headers["retry-after"]]).toEqual([429, "3"]);
    for (const path of ["/v1/tokens", "/events?tags=a", "/metrics"]) {
      const answer = await new Caller(server).call(path, { headers });
      expect([problemOf(answer), answer.headers.get("retry-after")]).toEqual([[429, 111], "3"]);
    }
    await using client = await server.dial({ headers });
    expect(await client.refused(op.connect, { token: adminToken })).toBe(111);
    expect(await client.ended()).toMatchObject({
      code: 3007,
      farewell: [op.disconnect, 3007, expect.any(String), 3000],
    });
    // Who is in already stays in.
    expect(await established.ok(op.ping)).toEqual({});
    clock.advance(3000);
    expect(await statusOf(server, adminToken, guesser)).toBe(200);
    // Which gives back nothing: one more failure is all that the time was good for.
    expect([await statusOf(server, "wrong", guesser), await statusOf(server, adminToken, guesser)]).toEqual([401, 429]);
  });

  test("by op 1 and op 7 is slowed as well", async () => {
    await using server = await startServer({ flags: [...proxied, "--authentication-failures-max", "2"] });
    const headers = from(guesser);
    await using inside = await server.connect({ headers });
    expect(await inside.refused(op.refresh, "wrong")).toBe(117);
    await using outside = await server.dial({ headers });
    expect(await outside.refused(op.connect, { token: "wrong" })).toBe(117);
    expect(await inside.refused(op.refresh, adminToken)).toBe(111);
    expect(await inside.ok(op.ping)).toEqual({});
  });

  test("with an address of IPv6 is known by the network that it comes from", async () => {
    await using server = await startServer({ flags: [...proxied, "--authentication-failures-max", "2"] });
    for (const host of ["1", "2"]) await statusOf(server, "wrong", `2001:db8:0:1::${host}`);
    expect(await statusOf(server, adminToken, "2001:db8:0:1:ffff::3")).toBe(429);
    expect(await statusOf(server, adminToken, "2001:db8:0:2::1")).toBe(200);
  });

  test("is left alone on the server's own machine, unless everybody comes through a proxy there", async () => {
    await using server = await startServer({ flags: ["--authentication-failures-max", "1"] });
    expect(await attack(server, guesser)).toBe(adminToken);
  });

  test("is not made of those whose tokens have expired or cannot be checked", async () => {
    await using server = await startServer({ flags: [...proxied, "--authentication-failures-max", "1"] });
    const draft = { name: "n", grants: {}, expiresAtMs: Date.now() - 1000 };
    const { body } = await new Caller(server).call("/v1/tokens", { json: draft });
    const { secret } = body as { secret: string };
    for (let i = 0; i < 3; i++) expect(await statusOf(server, secret, guesser)).toBe(401);
    expect(await statusOf(server, adminToken, guesser)).toBe(200);
  });
});
