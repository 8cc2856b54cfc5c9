/**
 * Logins: what an attacker does with a cookie, a session id or another page, and what ends a login. Each attack runs against
 * what a page without a login has, too: a token that its scripts can read.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { Chromium } from "../../harness/chromium.ts";
import { EventClient } from "../../harness/event-client.ts";
import { tryUpgrade } from "../../harness/http-head.ts";
import { adminToken, SocketClock, startServer, type TestServer } from "../../harness/server.ts";
import { type Answered, type Call, Caller, problemOf } from "../../integration/api/caller.ts";
import { type AttackerPage, openAttackerPage, socketScript } from "./attacker.ts";

const longMs = 30_000;
const minute = 60_000;
const toml = '[[tags]]\npattern = "#"\nhistory = { size = 10 }\nretain = true\n';
const tag = "private/mail";
const proxied = ["--trusted-proxies", "127.0.0.1"];
const tls = { "X-Forwarded-Proto": "https" };

/** What a browser keeps of an answer, and sends with the next request. */
class Browser {
  cookie = "";
  readonly #server: TestServer;
  readonly #origin: string;

  constructor(server: TestServer, origin = server.http) {
    this.#server = server;
    this.#origin = origin;
  }

  get headers(): Record<string, string> {
    return { origin: this.#origin, ...(this.cookie !== "" && { cookie: this.cookie }) };
  }

  async call(path: string, { headers, ...call }: Call = {}): Promise<Answered> {
    const answer = await new Caller(this.#server, null).call(path, {
      ...call,
      headers: { ...this.headers, ...headers },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      this.cookie = pair.endsWith("=") ? "" : pair;
    }
    return answer;
  }

  async logIn(token: string, headers: Record<string, string> = {}): Promise<Answered> {
    return this.call("/login", { method: "POST", headers: { authorization: `Bearer ${token}`, ...headers } });
  }
}

async function createToken(server: TestServer, draft: object = {}): Promise<{ id: string; secret: string }> {
  const json = { name: "n", subject: "ann", grants: { "#": ["readwrite", "admin"] }, ...draft };
  const { body } = await new Caller(server).call("/v1/tokens", { json });
  const { token, secret } = body as { token: { id: string }; secret: string };
  return { id: token.id, secret };
}

describe("a login", () => {
  test("leaves a cookie that scripts, other sites and plain connections do not get, and that is not the token", async () => {
    await using server = await startServer({ flags: proxied });
    const plain = await new Browser(server).logIn(adminToken);
    expect(plain.status).toBe(200);
    const [cookie = ""] = plain.headers.getSetCookie();
    expect(cookie).toMatch(/^tagcast=tcl_[\w-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/);
    expect(cookie + JSON.stringify(plain.body)).not.toContain(adminToken);
    const secure = await new Browser(server, server.http.replace("http", "https")).logIn(adminToken, tls);
    expect(secure.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^__Host-tagcast=tcl_[\w-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict; Secure$/),
    ]);
  });

  test("lets in to everything that its token does: requests, event streams, sockets; and is named to administrators", async () => {
    await using server = await startServer({ toml });
    const { secret } = await createToken(server);
    const browser = new Browser(server);
    const { body } = await browser.logIn(secret);
    const { login } = body as { login: string };
    expect((await browser.call("/v1/publish", { json: { tag, payload: "x" } })).status).toBe(200);
    await using client = await server.dial({ headers: browser.headers });
    expect(await client.ok(op.subscribe, tag)).toMatchObject({});
    await using events = await EventClient.open(`${server.http}/events?tags=${tag}`, {
      token: null,
      headers: browser.headers,
    });
    await events.next("subscribed");
    const list = await new Caller(server).get("/v1/connections", { subject: "ann" });
    const shown = { login, credential: "managed", origin: server.http, subject: "ann", remoteAddress: "127.0.0.1" };
    expect(list.body).toMatchObject({ connections: [shown, { ...shown, transport: "sse" }] });
    expect(JSON.stringify(list.body)).not.toContain("tcl_");
  });

  test("is over with logging out: for a cookie that was stolen, and for every connection of it, and for no other", async () => {
    await using server = await startServer({ toml });
    const { secret } = await createToken(server);
    const [browser, other] = [new Browser(server), new Browser(server)];
    await browser.logIn(secret);
    await other.logIn(secret);
    const stolen = { ...browser.headers };
    await using thief = await server.dial({ headers: stolen });
    await using spared = await server.dial({ headers: other.headers });
    await using events = await EventClient.open(`${server.http}/events?tags=a`, { token: null, headers: stolen });
    expect((await new Caller(server, null).call("/v1/tokens", { headers: stolen })).status).toBe(200);
    expect((await browser.call("/logout", { method: "POST" })).status).toBe(204);
    expect(browser.cookie).toBe("");
    expect((await thief.ended()).farewell?.[1]).toBe(3502);
    expect((await events.next("disconnect")).data["code"]).toBe(3502);
    expect(problemOf(await new Caller(server, null).call("/v1/tokens", { headers: stolen }))).toEqual([401, 118]);
    expect(await spared.ok(op.ping)).toEqual({});
    expect((await other.call("/v1/tokens")).status).toBe(200);
  });

  test("is ended by administrators alone, or with all connections of its subject", async () => {
    await using server = await startServer({ toml });
    const { secret } = await createToken(server);
    const browser = new Browser(server);
    const { login } = (await browser.logIn(secret)).body as { login: string };
    const admin = new Caller(server);
    await using spared = await server.connect({ options: { client: "admin" } });
    await using direct = await server.connect({ token: secret, options: { client: "direct" } });
    const dial = () => server.dial({ headers: browser.headers });
    const end = async (query: Record<string, string>) =>
      (await admin.call(`/v1/connections?${new URLSearchParams(query)}`, { method: "DELETE" })).body;
    await using first = await dial();
    await first.ok(op.ping);
    expect(await end({ subject: "ann", login })).toEqual({ ended: 1 });
    expect((await first.ended()).farewell?.[1]).toBe(3504);
    await using second = await dial();
    await second.ok(op.ping);
    expect(await end({ subject: "ann", client: "direct" })).toEqual({ ended: 1 });
    expect((await direct.ended()).farewell?.[1]).toBe(3504);
    expect(await end({ subject: "ann", reconnect: "true" })).toEqual({ ended: 1 });
    expect((await second.ended()).farewell?.[1]).toBe(3008);
    expect(await spared.ok(op.ping)).toEqual({});
    expect(await admin.problem("/v1/connections", { method: "DELETE" })).toEqual([400, 107]);
  });

  test("is what a token that was stolen is not: logging out does nothing to that", async () => {
    await using server = await startServer({ toml });
    const { secret } = await createToken(server);
    await new Browser(server).logIn(secret);
    const stolen = { authorization: `Bearer ${secret}` };
    await new Caller(server, null).call("/logout", { method: "POST", headers: stolen });
    expect((await new Caller(server, null).call("/v1/tokens", { headers: stolen })).status).toBe(200);
  });

  test("ends with its token at once, on open sockets as well, and follows its edits", async () => {
    await using server = await startServer({ toml });
    const { id, secret } = await createToken(server);
    const browser = new Browser(server);
    await browser.logIn(secret);
    await using client = await server.dial({ headers: browser.headers });
    await client.ok(op.subscribe, "a/b");
    const admin = new Caller(server);
    await admin.call(`/v1/tokens/${id}`, { method: "PATCH", json: { grants: { c: ["read"] } } });
    expect((await client.next(op.unsubscribed)).slice(1, 3)).toEqual(["a/b", 2000]);
    await admin.call(`/v1/tokens/${id}`, { method: "DELETE" });
    expect((await client.ended()).farewell?.[1]).toBe(3502);
    expect(problemOf(await browser.call("/login"))).toEqual([401, 117]);
  });

  test("ends when its cookie is not used, and its sockets come back with a new one while it is", async () => {
    const clock = new SocketClock(Date.now());
    await using server = await startServer({ toml, clock, flags: ["--login-max", "2h", "--ping-interval", "15m"] });
    const browser = new Browser(server);
    await browser.logIn(adminToken);
    const old = browser.cookie;
    await using client = await server.dial({ headers: browser.headers });
    for (let i = 0; i < 2; i++) {
      clock.advance(15 * minute);
      await client.ok(op.ping);
    }
    clock.advance(15 * minute);
    expect((await client.ended()).farewell?.[1]).toBe(3003);
    const again = await tryUpgrade(server.url, { headers: { Cookie: browser.cookie, Origin: "http://localhost" } });
    expect([again.status, again.headers["set-cookie"]]).toEqual([101, expect.stringContaining("Max-Age=3600")]);
    browser.cookie = again.headers["set-cookie"]?.split(";")[0] ?? "";
    clock.advance(15 * minute);
    expect((await browser.call("/login")).status).toBe(200);
    expect((await new Caller(server, null).call("/login", { headers: { cookie: old } })).status).toBe(401);
    clock.advance(30 * minute);
    expect((await browser.call("/login")).status).toBe(200);
    clock.advance(30 * minute);
    // Two hours are over, whatever was renewed.
    expect(problemOf(await browser.call("/login"))).toEqual([401, 118]);
  });

  test("that is over lets its page in without an identity, which op 1 tells it", async () => {
    await using server = await startServer({ flags: ["--login-key", "k".repeat(32)] });
    const headers = { Cookie: "tagcast=tcl_nonsense", Origin: "http://localhost" };
    const answer = await tryUpgrade(server.url, { headers });
    expect([answer.status, answer.headers["set-cookie"]]).toEqual([101, expect.stringContaining("Max-Age=0")]);
    await using client = await server.dial({ headers: { ...headers, Origin: server.http } });
    expect(await client.refused(op.connect, {})).toBe(101);
  });

  test("is not to be had where logins are off", async () => {
    await using server = await startServer({ flags: ["--login-ttl", "0"] });
    expect(problemOf(await new Browser(server).logIn(adminToken))).toEqual([501, 107]);
  });

  test("holds over a restart, and at every instance, where they have the same key", async () => {
    const flags = ["--login-key", "0123456789abcdef0123456789abcdef"];
    await using first = await startServer({ flags });
    const browser = new Browser(first);
    await browser.logIn(adminToken);
    await using second = await startServer({ flags });
    await using stranger = await startServer();
    const status = async (server: TestServer) =>
      (await new Caller(server, null).call("/v1/tokens", { headers: { cookie: browser.cookie } })).status;
    expect([await status(second), await status(stranger)]).toEqual([200, 401]);
  });
});

describe("fixation", () => {
  test("a login has an id and a cookie of its own each time, whatever cookie was there before", async () => {
    await using server = await startServer();
    const browser = new Browser(server);
    const ids = new Set<unknown>();
    const cookies = new Set<string>();
    for (let i = 0; i < 3; i++) {
      ids.add(((await browser.logIn(adminToken)).body as { login: string }).login);
      cookies.add(browser.cookie);
    }
    expect([ids.size, cookies.size]).toEqual([3, 3]);
  });

  test("a cookie that was planted without TLS does not count with it", async () => {
    await using server = await startServer({ flags: proxied });
    const attacker = new Browser(server);
    await attacker.logIn(adminToken);
    const origin = server.http.replace("http", "https");
    const ticket = attacker.cookie.replace("tagcast=", "");
    const status = async (cookie: string, headers: Record<string, string>) =>
      (await new Caller(server, null).call("/login", { headers: { cookie, ...headers } })).status;
    expect(await status(`tagcast=${ticket}`, { origin: server.http })).toBe(200);
    expect(await status(`tagcast=${ticket}`, { origin, ...tls })).toBe(401);
    expect(await status(`__Host-tagcast=${ticket}`, { origin, ...tls })).toBe(401);
    // What the victim has goes first.
    const victim = new Browser(server, origin);
    await victim.logIn((await createToken(server)).secret, tls);
    const both = await victim.call("/login", { headers: { cookie: `tagcast=${ticket}; ${victim.cookie}`, ...tls } });
    expect(both.body).toMatchObject({ subject: "ann" });
  });

  test("ids of sessions, connections and logins let nobody in", async () => {
    await using server = await startServer();
    const browser = new Browser(server);
    const { login } = (await browser.logIn(adminToken)).body as { login: string };
    await using client = await server.dial({ headers: browser.headers });
    const { session } = (await client.ok(op.connect, {})) as { session: string };
    for (const id of [login, session, `login:${login}`]) {
      expect(await new Caller(server, id).problem("/v1/tokens")).toEqual([401, 117]);
      const headers = { cookie: `tagcast=${id}`, origin: server.http };
      expect((await new Caller(server, null).call("/v1/tokens", { headers })).status).toBe(401);
    }
    expect(session).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  });

  test("a ticket is no token: not as a bearer, not by op 1", async () => {
    await using server = await startServer();
    const browser = new Browser(server);
    await browser.logIn(adminToken);
    const ticket = browser.cookie.replace("tagcast=", "");
    expect(await new Caller(server, ticket).problem("/v1/tokens")).toEqual([401, 117]);
    await using client = await server.dial();
    expect(await client.refused(op.connect, { token: ticket })).toBe(117);
  });
});

describe("in Chromium", () => {
  let chromium: Chromium;
  let attacker: AttackerPage;

  beforeAll(async () => {
    chromium = await Chromium.open();
    attacker = openAttackerPage();
  }, longMs);
  beforeEach(() => chromium.page.context().clearCookies());
  afterAll(async () => {
    await chromium[Symbol.asyncDispose]();
    await attacker[Symbol.asyncDispose]();
  });

  const runs = async (origin: string, script: string): Promise<unknown> => {
    await chromium.page.goto(origin);
    return chromium.page.evaluate(script);
  };
  const logIn = (url: string) =>
    `fetch("${url}/login", { method: "POST", credentials: "include", headers: { authorization: "Bearer ${adminToken}" } })
      .then(({ status }) => status, () => "unreadable")`;
  const logOut = (url: string) =>
    `fetch("${url}/logout", { method: "POST", credentials: "include" }).then(({ status }) => status, () => "unreadable")`;
  const cookies = () => chromium.page.context().cookies();

  test(
    "a page logs in, is served by its cookie, which its scripts cannot read, and logs out",
    async () => {
      await using server = await startServer({ toml });
      await new Caller(server).publish({ tag, payload: "secret" });
      const own = `${server.http}/healthz`;
      expect(await runs(own, logIn(server.http))).toBe(200);
      expect(await cookies()).toMatchObject([{ name: "tagcast", httpOnly: true, sameSite: "Strict" }]);
      expect(await runs(own, "document.cookie")).toBe("");
      const got = expect.arrayContaining([expect.arrayContaining([18, tag, "secret"])]);
      expect(await runs(own, socketScript(server.url, tag))).toEqual(got);
      expect(await runs(own, logOut(server.http))).toBe(204);
      expect(await cookies()).toEqual([]);
    },
    longMs,
  );

  test(
    "a page of another origin uses a login in no way, logs nobody out, and nobody in as somebody else",
    async () => {
      await using server = await startServer({ toml });
      await runs(`${server.http}/healthz`, logIn(server.http));
      const before = await cookies();
      expect(await runs(attacker.origin, socketScript(server.url, tag))).toEqual([["closed", 1006]]);
      expect(await runs(attacker.origin, logOut(server.http))).toBe("unreadable");
      expect(await runs(attacker.origin, logIn(server.http))).toBe("unreadable");
      expect(await cookies()).toEqual(before);
      expect(await runs(`${server.http}/healthz`, `fetch("/login").then(({ status }) => status)`)).toBe(200);
      expect(server.log.of("login or logout refused: its page is not of an allowed origin")).not.toEqual([]);
    },
    longMs,
  );

  test(
    "a page of another origin does all of that where the defence is off, its origin being listed",
    async () => {
      await using server = await startServer({ toml, flags: ["--allowed-origins", attacker.origin] });
      await new Caller(server).publish({ tag, payload: "secret" });
      await runs(`${server.http}/healthz`, logIn(server.http));
      const got = expect.arrayContaining([expect.arrayContaining([18, tag, "secret"])]);
      expect(await runs(attacker.origin, socketScript(server.url, tag))).toEqual(got);
      expect(await runs(attacker.origin, logOut(server.http))).toBe(204);
      expect(await runs(attacker.origin, logIn(server.http))).toBe(200);
    },
    longMs,
  );

  test(
    "a socket that its login lets in again gets a new cookie with the upgrade",
    async () => {
      const clock = new SocketClock(Date.now());
      await using server = await startServer({ toml, clock });
      await new Caller(server).publish({ tag, payload: "secret" });
      await runs(`${server.http}/healthz`, logIn(server.http));
      const [first] = await cookies();
      clock.advance(31 * minute);
      await runs(`${server.http}/healthz`, socketScript(server.url, tag));
      const [second] = await cookies();
      expect([second?.name, second?.value !== first?.value]).toEqual(["tagcast", true]);
    },
    longMs,
  );
});

describe("logging in and out without end, so that ever more is remembered", () => {
  const statuses = async (server: TestServer) => {
    const { secret } = await createToken(server, { grants: {} });
    const browser = new Browser(server);
    const seen: number[] = [];
    for (let i = 0; i < 12; i++) {
      const { status, headers } = await browser.logIn(secret);
      seen.push(status);
      if (status === 429) expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
      else expect((await browser.call("/logout", { method: "POST" })).status).toBe(204);
    }
    return seen;
  };

  test("is bounded for each credential, counted, and logged with its source", async () => {
    await using server = await startServer({ flags: ["--login-rate-per-token", "10"] });
    expect(await statuses(server)).toEqual([...Array<number>(10).fill(200), 429, 429]);
    // Another credential is another bucket.
    const { secret } = await createToken(server);
    expect((await new Browser(server).logIn(secret)).status).toBe(200);
    const { bytes } = await new Caller(server).call("/metrics");
    expect(Buffer.from(bytes).toString()).toContain('tagcast_rate_refused_total{reason="logins"} 2\n');
    expect(server.log.of("request refused: its credential is used too fast")[0]).toMatchObject({
      fields: { from: "127.0.0.1", subject: "ann" },
    });
  });

  test("goes on where the limit is off", async () => {
    await using server = await startServer({ flags: ["--login-rate-per-token", "0"] });
    expect(new Set(await statuses(server))).toEqual(new Set([200]));
  });
});
