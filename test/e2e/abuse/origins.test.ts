/**
 * Cross-site WebSocket hijacking in Chromium: the victim has a cookie of the server, and opens a page of the attacker on
 * another origin of the same site, with which the browser sends that cookie whatever `SameSite` says.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Chromium } from "../../harness/chromium.ts";
import { adminToken, startServer, type TestServer } from "../../harness/server.ts";
import { Caller } from "../../integration/api/caller.ts";
import { type AttackerPage, openAttackerPage, socketScript } from "./attacker.ts";

const longMs = 30_000;
const toml = '[[tags]]\npattern = "#"\nhistory = { size = 10 }\nretain = true\n';
const tag = "private/mail";

let chromium: Chromium;
let attacker: AttackerPage;

beforeAll(async () => {
  chromium = await Chromium.open();
  attacker = openAttackerPage();
}, longMs);
afterAll(async () => {
  await chromium[Symbol.asyncDispose]();
  await attacker[Symbol.asyncDispose]();
});

/** A server with something to steal, and a victim who has its cookie. */
async function open(...flags: string[]): Promise<TestServer> {
  const server = await startServer({ toml, flags });
  expect((await new Caller(server).publish({ tag, payload: "secret" })).status).toBe(200);
  const context = chromium.page.context();
  await context.clearCookies();
  await context.addCookies([
    { name: "tagcast", value: adminToken, domain: "127.0.0.1", path: "/", httpOnly: true, sameSite: "Strict" },
  ]);
  return server;
}

/** What the attacker's script gets in a page of `origin`. */
async function runs(origin: string, script: string): Promise<unknown> {
  await chromium.page.goto(origin);
  return chromium.page.evaluate(script);
}

const stolen = expect.arrayContaining([expect.arrayContaining([18, tag, "secret"])]);
const refused = [["closed", 1006]];
const post = (server: TestServer) => `fetch("${server.http}/v1/publish?tag=${tag}", {
  method: "POST", credentials: "include", body: "forged", headers: { "content-type": "text/plain" },
}).then((answer) => answer.status, () => "unreadable")`;
const read = (server: TestServer) => `fetch("${server.http}/v1/tokens", { credentials: "include" })
  .then((answer) => answer.text(), () => "unreadable")`;

async function lastOf(server: TestServer): Promise<unknown> {
  const { body } = await new Caller(server).get("/v1/history", { tag, last: 1 });
  return (body as { messages: { payload: unknown }[] }).messages.at(-1)?.payload;
}

describe("a page of another origin", () => {
  test(
    "is not let in with the victim's cookie, by any way; counted, and logged with its origin",
    async () => {
      await using server = await open();
      const { registry } = server.running;
      expect(await runs(attacker.origin, socketScript(server.url, tag))).toEqual(refused);
      expect(registry.counts.opened).toBe(0);
      expect(server.log.of("upgrade refused: its page is not of an allowed origin")).toMatchObject([
        { level: "warn", fields: { origin: attacker.origin, from: "127.0.0.1" } },
      ]);
      expect(await runs(attacker.origin, read(server))).toBe("unreadable");
      expect(await runs(attacker.origin, post(server))).toBe("unreadable");
      expect(await lastOf(server)).toBe("secret");
      const events = `new Promise((done) => {
        const stream = new EventSource("${server.http}/events?tags=${tag}&last=1", { withCredentials: true });
        stream.addEventListener("message", ({ data }) => done(data));
        stream.onerror = () => { stream.close(); done("refused"); };
      })`;
      expect(await runs(attacker.origin, events)).toBe("refused");
      expect(registry.counts.opened).toBe(0);
      const metrics = (await (await fetch(`${server.http}/metrics`, bearer)).text()).split("\n");
      const counted = Number(metrics.find((line) => line.startsWith("tagcast_origins_refused_total"))?.split(" ")[1]);
      expect(counted).toBeGreaterThanOrEqual(3);
    },
    longMs,
  );

  test(
    "hides its origin in vain",
    async () => {
      await using server = await open();
      const inFrame = `new Promise((done) => {
        const frame = document.createElement("iframe");
        frame.sandbox = "allow-scripts";
        frame.srcdoc = ${JSON.stringify(`<script>${socketScript(server.url, tag)}.then((got) => parent.postMessage(got, "*"))</script>`)};
        onmessage = ({ data }) => done(data);
        document.body.append(frame);
      })`;
      expect(await runs(attacker.origin, inFrame)).toEqual(refused);
      expect(server.log.of("upgrade refused: its page is not of an allowed origin")).toMatchObject([
        { fields: { origin: "null" } },
      ]);
    },
    longMs,
  );

  test(
    "reads and acts as the victim where the defence is off, its origin being listed",
    async () => {
      await using server = await open("--allowed-origins", attacker.origin);
      expect(await runs(attacker.origin, socketScript(server.url, tag))).toEqual(stolen);
      expect(await runs(attacker.origin, read(server))).toContain('"tokens"');
      expect(await runs(attacker.origin, post(server))).toBe(200);
      expect(await lastOf(server)).not.toBe("secret");
    },
    longMs,
  );

  test(
    "comes in with a token of its own where pages from anywhere may, and still not with the cookie",
    async () => {
      await using server = await open("--allowed-origins", "*");
      const [answer] = (await runs(attacker.origin, socketScript(server.url, tag))) as [unknown[]];
      expect(answer.slice(0, 3)).toEqual([17, 2, 101]);
      expect(await runs(attacker.origin, socketScript(server.url, tag, adminToken))).toEqual(stolen);
      expect(await runs(attacker.origin, read(server))).toBe("unreadable");
      const withToken = `fetch("${server.http}/v1/tokens", { headers: { authorization: "Bearer ${adminToken}" } })
        .then((answer) => answer.text(), () => "unreadable")`;
      expect(await runs(attacker.origin, withToken)).toContain('"tokens"');
    },
    longMs,
  );
});

test(
  "a page of the server itself uses the cookie, for sockets and for requests",
  async () => {
    await using server = await open();
    expect(await runs(`${server.http}/healthz`, socketScript(server.url, tag))).toEqual(stolen);
    expect(await runs(`${server.http}/healthz`, read(server))).toContain('"tokens"');
    expect(await runs(`${server.http}/healthz`, post(server))).toBe(200);
  },
  longMs,
);

const bearer = { headers: { authorization: `Bearer ${adminToken}` } };
