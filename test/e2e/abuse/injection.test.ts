/**
 * Tags, client ids and names that try to break out of where they are shown: logs, metrics, event streams, headers, problem
 * documents and command lines. Pages: `injection-pages.test.ts`. What finds a break is tried on naive output, too.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { run } from "../../../src/cli/run.ts";
import { op } from "../../../src/wire/messages.ts";
import { recordedIo } from "../../harness/cli-io.ts";
import { Example } from "../../harness/example.ts";
import { EventClient } from "../../harness/event-client.ts";
import { root } from "../../harness/source-tree.ts";
import { tryUpgrade } from "../../harness/http-head.ts";
import { startConfigured } from "../../harness/configured-process.ts";
import { adminToken, Program, type ServerProcess, startProcess } from "../../harness/server.ts";
import { Refused, WireClient } from "../../harness/wire-client.ts";
import { Caller } from "../../integration/api/caller.ts";
import {
  eventProblems,
  hostileTexts,
  jsonLogProblems,
  mark,
  metricsProblems,
  terminalProblems,
} from "./hostile-text.ts";

const toml = `
[[tags]]
pattern = "#"
history = { size = 100 }
presence = true
`;
const texts = Object.entries(hostileTexts);
const tagOf = (text: string) => `x/${text}`;
const payloadOf = (text: string) => ({ [text]: text, text, list: [text] });
/** Op 1 and credentials bound names by bytes. */
const nameOf = (text: string) => Buffer.from(text).subarray(0, 60).toString("utf8").replaceAll("\ufffd", "");

/** Puts the text wherever a client can, through every door. */
async function attack(server: { readonly url: string; readonly http: string }, token: string, text: string) {
  const options = { client: nameOf(text) };
  const tag = tagOf(text);
  await using client = await WireClient.open(server.url, { token, options, lane: "json" });
  await client.ok(op.subscribe, tag, { info: { text } });
  await client.ok(op.publish, tag, payloadOf(text), { id: nameOf(text).slice(0, 8), reply: tag });
  for (const request of [
    [op.subscribe, `${text}/+x`],
    [op.publish, "$x", text],
    [op.publish, `${text}#`, text],
    [30, text],
    [op.connect, { token: text }],
    [op.unsubscribe, `y/${text}`],
  ] as const) {
    const [number, ...fields] = request;
    await client.request(number, ...fields).catch((error: unknown) => expect(error).toBeInstanceOf(Refused));
  }
  await using stranger = await WireClient.open(server.url, { lane: "json" });
  await stranger.request(op.connect, { token: text, client: options.client });
  const caller = new Caller(server, token);
  await caller.publish({ tag, payload: payloadOf(text), id: nameOf(text).slice(0, 8) });
  await caller.call("/v1/tokens", { json: { name: text, client: nameOf(text), grants: { [tag]: ["read"] } } });
  await caller.call("/v1/tokens", { json: { name: nameOf(text).replace(/\p{Cc}/gu, ""), grants: {} } });
  for (const path of ["/v1/tokens/", "/v1/connections/", "/docs/", "/", "/examples/"])
    await caller.call(path + encodeURIComponent(text), { method: "DELETE" });
  await caller.get("/v1/connections", { client: text, subject: text });
}

describe.each(["json", "pretty"])("the log in format %s", (format) => {
  test("has no line, and no control character, that others made", async () => {
    await using server = await startProcess({ args: ["--log-format", format, "--log-level", "trace"] });
    for (const [, text] of texts) await attack(server, server.token, text);
    server.signal("SIGTERM");
    expect(await server.end()).toBe(0);
    const problems =
      format === "json" ? jsonLogProblems(server.stderr) : terminalProblems(server.stderr, /^\[?\d\d:\d\d:\d\d|^ {4}/);
    expect(problems).toEqual([]);
    // Names do stand in it, so that there was something to break out.
    expect(server.stderr.split("session opened").length).toBeGreaterThan(texts.length);
    expect(server.stderr).toContain(mark);
  });
});

test("metrics have no label that others chose, and stay well-formed", async () => {
  await using server = await startConfigured({ toml });
  for (const [, text] of texts) await attack(server, adminToken, text);
  await using watcher = await server.connect({ options: { client: nameOf(hostileTexts["labels"]!) } });
  await watcher.ok(op.subscribe, tagOf(hostileTexts["labels"]!));
  const { bytes } = await new Caller(server).get("/metrics");
  const metrics = new TextDecoder().decode(bytes);
  expect(metricsProblems(metrics)).toEqual([]);
  expect(metrics).not.toContain(mark);
  expect(metrics).toContain("tagcast_errors_total");
});

test.each(texts)("an event stream stays whole with what aims at %s", async (_, text) => {
  await using server = await startConfigured({ toml });
  const tag = tagOf(text);
  const url = `${server.http}/events?tags=${encodeURIComponent(tag)},x/%23`;
  await using events = await EventClient.open(url);
  const answer = await new Caller(server).publish({ tag, payload: payloadOf(text), reply: tag });
  expect(answer.status).toBe(200);
  const [first, second] = await events.messages(2);
  const message = { tag, offset: 1, payload: payloadOf(text), meta: { reply: tag } };
  expect([first, second].map((data) => ({ ...data, pattern: undefined }))).toEqual([message, message] as never);
  expect(eventProblems(events.lines)).toEqual([]);
  await using again = await EventClient.open(url, { lastEventId: events.lastEventId });
  await again.next("subscribed");
  expect(eventProblems(again.lines)).toEqual([]);
});

describe("headers of answers", () => {
  test.each(texts)("are the server's own with what aims at %s", async (_, text) => {
    await using server = await startConfigured({ toml });
    const encoded = encodeURIComponent(text);
    const inHeader = text.replace(/[^\t\u0020-\u007e]/g, "_");
    const authorization = `Bearer ${adminToken}`;
    const upgrades = [
      await tryUpgrade(server.url, { path: `/ws?tags=${encoded}`, headers: { Authorization: authorization } }),
      await tryUpgrade(server.url, { headers: { Tag: encoded, Authorization: authorization } }),
      await tryUpgrade(server.url, { headers: { Origin: inHeader, Authorization: `Bearer ${inHeader}` } }),
      await tryUpgrade(server.url, { headers: { "Sec-WebSocket-Protocol": `${inHeader.replaceAll(",", "")}, x` } }),
    ];
    expect(upgrades.map(({ status }) => status)).toEqual([101, 101, 401, 400]);
    const caller = new Caller(server);
    const answers = [
      await caller.call(`/v1/tokens/${encoded}`),
      await caller.call(`/events?tags=${encoded}&last=0`, { headers: { origin: inHeader } }),
      await caller.call(`/${encoded}`, { method: "OPTIONS", headers: { origin: inHeader } }),
      await caller.call("/v1/publish", { method: "OPTIONS", headers: { origin: inHeader } }),
      await caller.call("/v1/tokens", { json: { name: "n", grants: { [tagOf(text)]: ["read"] } } }),
    ];
    const names = [...upgrades.map(({ headers }) => headers), ...answers.map(({ headers }) => headers.toJSON())];
    for (const headers of names) {
      expect(headers["set-cookie"]).toBeUndefined();
      expect(JSON.stringify(headers)).not.toContain(mark);
      expect(headers["access-control-allow-origin"]).toBeUndefined();
    }
  });
});

describe("problem documents", () => {
  test.each(texts)("are JSON of their own type with what aims at %s", async (_, text) => {
    await using server = await startConfigured({ toml });
    const caller = new Caller(server);
    const encoded = encodeURIComponent(text);
    const answers = [
      await caller.get("/v1/history", { tag: `${text}#` }),
      await caller.get("/v1/history", { tag: "a", since: text }),
      await caller.get("/v1/tags", { pattern: `${text}/+x` }),
      await caller.call("/v1/publish", { json: { tag: "a", payload: 1, id: { $bin: text } } }),
      await caller.call("/v1/publish", { json: { tag: "a", payload: { [`$${text}`]: 1 } } }),
      await caller.call("/v1/tokens", { json: { name: "n", grants: { [`${text}/x+`]: ["read"] } } }),
      await caller.call("/v1/tokens", { json: { name: "n", grants: { a: [text] }, [text]: 1 } }),
      await caller.call(`/v1/tokens/${encoded}`),
      await caller.call(`/${encoded}`),
      await caller.call(`/events?tags=a&lastEventId=${encoded}`),
      await caller.call(`/events?tags=a&recover=${encoded}`),
      await caller.call("/v1/publish", { body: text, headers: { "content-type": "text/html" } }),
      await new Caller(server, nameOf(text).replace(/[^ -~]/g, "_")).get("/v1/tokens"),
    ];
    for (const { status, headers, body, bytes } of answers) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(headers.get("content-type")).toBe("application/problem+json");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(Object.keys(body as object)).toEqual(["type", "title", "status", "detail", "code"]);
      // oxlint-disable-next-line no-control-regex
      expect(new TextDecoder().decode(bytes)).not.toMatch(/[\u0000-\u001f]/);
    }
  });
});

describe("command lines", () => {
  async function tagcast(server: ServerProcess, ...args: readonly string[]): Promise<Program> {
    const program = new Program({ args, env: { TAGCAST_URL: server.url, TAGCAST_TOKEN: server.token } });
    await program.end();
    return program;
  }

  test("show what others wrote as one line each, with nothing that acts on a terminal", async () => {
    await using server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
    await using client = await server.connect();
    for (const [, text] of texts) {
      await client.ok(op.publish, `chat/${text.replaceAll("/", "|")}`, payloadOf(text));
      await client.ok(op.publish, "chat/all", text);
    }
    const count = String(texts.length);
    for (const flags of [[], ["--json"]]) {
      await using all = await tagcast(server, "sub", "chat/all", "--last", "100", "--count", count, ...flags);
      expect(terminalProblems(all.stdout + all.stderr, flags.length > 0 ? /^\{"tag":/ : /^chat\/all /)).toEqual([]);
      await using each = await tagcast(server, "sub", "chat/+", "--last", "1", "--count", count, ...flags);
      expect(terminalProblems(each.stdout + each.stderr, flags.length > 0 ? /^\{"tag":/ : /^chat\//)).toEqual([]);
      expect(each.stdout.split("\n")).toHaveLength(texts.length + 1);
    }
  });

  test("show who is present as one line", async () => {
    await using server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
    const options = texts.map(([, text]) => ({ client: nameOf(text) }));
    const members = await Promise.all(options.map((each) => server.connect({ options: each })));
    for (const member of members) await member.ok(op.subscribe, "chat/all");
    await members[0]!.ok(op.publish, "chat/all", "x");
    for (const flags of [[], ["--json"]]) {
      const args = ["sub", "chat/all", "--presence", "--last", "1", "--count", "1", ...flags];
      await using program = await tagcast(server, ...args);
      const line = flags.length > 0 ? /^\{"(presence|tag)":/ : /^chat\/all /;
      expect(terminalProblems(program.stdout + program.stderr, line)).toEqual([]);
      expect(program.stdout).toContain(mark);
    }
    for (const member of members) await member[Symbol.asyncDispose]();
  });

  test("complain of their own arguments without acting on them", async () => {
    await using server = await startConfigured();
    for (const [, text] of texts) {
      for (const args of [
        ["pub", `${text}#`, "x"],
        ["sub", `${text}+`],
        ["sub", "a", "--since", text],
        ["pub", "a", text, "--json"],
        ["token", "decode", text],
        ["serve", `--${text}`],
        ["serve", "--host", text],
        [text],
      ]) {
        const io = recordedIo({ TAGCAST_URL: server.url, TAGCAST_TOKEN: adminToken });
        const status = await run(args, io);
        const said = [...io.outLines, ...io.errLines].join("\n");
        expect({ args, status, told: said !== "" }).toEqual({
          args,
          status: said === "" ? 0 : status,
          told: status !== 0,
        });
        expect(terminalProblems(said, /^(tagcast|`tagcast| )/)).toEqual([]);
      }
    }
  });

  test("of the examples show what others wrote in their own lines", async () => {
    await using server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
    await using client = await server.connect();
    await client.ok(op.publish, "chat/hall", null);
    await client.ok(op.publish, "chat/hall", "no object");
    for (const [, text] of texts) {
      await client.ok(op.publish, "chat/hall", { from: text, text });
      await client.ok(op.publish, `devices/${text.replaceAll("/", "|")}/state`, { [text]: text });
    }
    await client.ok(op.publish, "chat/hall", { from: "last", text: "of all" });
    const env = { TAGCAST_URL: server.url, TAGCAST_TOKEN: server.token };
    await using chat = new Example("chat/chat.ts", ["--name", "ann", "hall"], env);
    await chat.until(/last: of all/);
    expect(terminalProblems(chat.stdout + chat.stderr, /^\[hall\] /)).toEqual([]);
    await using devices = new Example("devices/console.ts", ["list"], env);
    await devices.end();
    expect(terminalProblems(devices.stdout + devices.stderr, / {2}(present|away) {2}/)).toEqual([]);
    expect(devices.stdout.split("\n")).toHaveLength(texts.length + 1);
    await using lamp = new Example("devices/device.ts", ["lamp"], env);
    await lamp.until(/^State: /m);
    for (const command of [null, 1, "\u009b31m", { name: {} }, { name: "on" }])
      await client.ok(op.publish, "devices/lamp/commands", command, { reply: "devices/answers" });
    await lamp.until(/^State: \{"on":true/m);
    expect(terminalProblems(lamp.stdout + lamp.stderr, /^(State|Command): /)).toEqual([]);
  });

  test("of the Python client show what others wrote in their own lines", async () => {
    await using server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
    await using client = await server.connect();
    for (const [, text] of texts) await client.ok(op.publish, `devices/${text.replaceAll("/", "|")}/state`, text);
    const { PATH = "" } = process.env;
    const watch = Bun.spawn(["/usr/bin/python3", "-B", "watch.py", "devices/+/state"], {
      cwd: join(root, "examples/python"),
      env: { PATH, TAGCAST_URL: server.url, TAGCAST_TOKEN: server.token },
      stdout: "pipe",
      stderr: "inherit",
    });
    let output = "";
    const decoder = new TextDecoder();
    for await (const chunk of watch.stdout) {
      output += decoder.decode(chunk, { stream: true });
      if (output.split("\n").length > texts.length) watch.kill();
    }
    await watch.exited;
    expect(terminalProblems(output, /^devices\//)).toEqual([]);
    expect(output.split("\n")).toHaveLength(texts.length + 1);
  });
});

describe("what finds a break", () => {
  test.each([
    ["JSON logs", () => jsonLogProblems(`{"level":"info","message":"x","client":"${hostileTexts["log lines"]}"}`)],
    ["pretty logs", () => terminalProblems(`12:00:00 INFO: x ${hostileTexts["log lines"]}`, /^\d\d:\d\d:\d\d INFO/)],
    ["terminals", () => terminalProblems(`x ${hostileTexts["terminals"]}`, /^x /)],
    ["C1 controls", () => terminalProblems("x \u009b31m", /^x /)],
    ["directions", () => terminalProblems(`x ${hostileTexts["directions"]}`, /^x /)],
    ["labels", () => metricsProblems(`tagcast_x{tag="${hostileTexts["labels"]}"} 1`)],
    ["events", () => eventProblems(`event: message\ndata: ${hostileTexts["events of a stream"]}`.split("\n"))],
  ] as const)("finds it in naive output: %s", (_, problems) => {
    expect(problems().length).toBeGreaterThan(0);
  });

  test("finds nothing in sound output", () => {
    expect(jsonLogProblems('{"level":"info","message":"x"}\n')).toEqual([]);
    expect(metricsProblems('# HELP tagcast_x y\n# TYPE tagcast_x gauge\ntagcast_x{a="b"} 1.5e+21\n')).toEqual([]);
    expect(eventProblems(["event: message", "id: abc_-", 'data: {"a":1}', "", ":"])).toEqual([]);
  });
});
