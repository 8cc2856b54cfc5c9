/** Instances that have only some roles, and several processes on one port. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { op } from "../../src/wire/messages.ts";
import { EventClient } from "../harness/event-client.ts";
import { tryUpgrade } from "../harness/http-head.ts";
import { RedisServer } from "../harness/redis.ts";
import { adminToken, scratchDirectory, type ServerProcess, startProcess } from "../harness/server.ts";
import { read } from "../harness/source-tree.ts";
import { WireClient } from "../harness/wire-client.ts";

const start = (...args: readonly string[]) => startProcess({ args: ["--admin-token", adminToken, ...args] });
const authorization = `Bearer ${adminToken}`;

async function statusOf(server: ServerProcess, path: string): Promise<number> {
  const response = await fetch(server.http + path, { headers: { authorization }, redirect: "manual" });
  await response.body?.cancel();
  return response.status;
}

function publish(server: ServerProcess, tag: string, payload: unknown): Promise<Response> {
  return fetch(`${server.http}/v1/publish`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ tag, payload }),
  });
}

async function expectHealth(server: ServerProcess): Promise<void> {
  for (const path of ["/healthz", "/readyz", "/metrics", "/"]) {
    expect([path, await statusOf(server, path)]).toEqual([path, 200]);
  }
  expect((await fetch(`${server.http}/metrics`)).status).toBe(401);
}

test("an instance without the role gateway refuses upgrades and event streams with a problem, and serves the API", async () => {
  await using server = await start("--role", "api");
  expect(server.stdout).toStartWith(`tagcast listens on ${server.http} (roles: api; `);
  await server.until(/"roles":\["api"\]/, "stderr");
  await expectHealth(server);
  const problem = { status: 404, code: 107, detail: "This instance does not have the role gateway" };
  for (const path of ["/ws", "/", "/ws?tags=a", "/echo", "/v1/publish"]) {
    const { status, headers, body } = await tryUpgrade(server.http, { path });
    expect([path, status, headers["content-type"]]).toEqual([path, 404, "application/problem+json"]);
    expect(JSON.parse(body)).toMatchObject(problem);
  }
  for (const path of ["/ws", "/events?tags=a"]) {
    const response = await fetch(server.http + path, { headers: { authorization } });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject(problem);
  }
  expect((await publish(server, "a", 1)).status).toBe(200);
  for (const path of ["/v1/connections", "/openapi.json", "/docs"]) expect(await statusOf(server, path)).toBe(200);
});

test("an instance without the role api serves WebSockets, event streams and health alone", async () => {
  await using server = await start("--role", "gateway");
  expect(server.stdout).toStartWith(`tagcast listens on ${server.url} (roles: gateway; `);
  await expectHealth(server);
  for (const path of ["/v1/connections", "/v1/history?tag=a", "/openapi.json", "/docs", "/examples/", "/nothing"]) {
    expect([path, await statusOf(server, path)]).toEqual([path, 404]);
  }
  const refused = await publish(server, "a", 1);
  expect(refused.headers.get("content-type")).toBe("application/problem+json");
  expect(await refused.json()).toMatchObject({ status: 404, detail: "This instance does not have the role api" });
  await using events = await EventClient.open(`${server.http}/events?tags=a`);
  await using client = await WireClient.open(server.url, { token: adminToken });
  await client.ok(op.publish, "a", "by socket");
  expect(await events.messages(1, "a")).toMatchObject([{ payload: "by socket" }]);
});

test("the proxy of the deployment guide sends each path to instances that serve it, also logins", async () => {
  const guide = await read("docs/deploy.md");
  const [, toApi = ""] = /location ~ (\S+) +\{ proxy_pass http:\/\/tagcast_api/.exec(guide) ?? [];
  await using api = await start("--role", "api");
  await using gateway = await start("--role", "gateway");
  const document = (await (await fetch(`${api.http}/openapi.json`)).json()) as { paths: Record<string, unknown> };
  const paths = [...Object.keys(document.paths), "/examples/", "/ws", "/"].map((path) =>
    path.replaceAll(/\{\w+\}/g, "1"),
  );
  expect(paths).toContain("/login");
  for (const path of paths) {
    const body = await (await fetch(gateway.http + path, { headers: { authorization } })).text();
    expect([path, new RegExp(toApi).test(path)]).toEqual([path, body.includes("does not have the role api")]);
  }
});

test("what is published at an api-only process is received at a gateway-only one, by socket and as an event, and the other way", async () => {
  await using redis = await RedisServer.start();
  using scratch = scratchDirectory();
  const config = join(scratch.path, "tagcast.toml");
  await Bun.write(config, '[[tags]]\npattern = "log/#"\nhistory = { size = 100 }\npresence = true\n');
  const joined = ["--config", config, "--redis", redis.url];
  await using api = await start("--role", "api", ...joined);
  await using gateway = await start("--role", "gateway", ...joined);
  await using client = await WireClient.open(gateway.url, { token: adminToken, options: { client: "reader" } });
  await using events = await EventClient.open(`${gateway.http}/events?tags=live/a,log/a`);
  await client.ok(op.subscribe, "log/a", { presence: true });
  await client.ok(op.subscribe, "live/#");

  const answers: { position?: readonly [epoch: number, offset: number] }[] = [];
  for (const [tag, payload] of [
    ["live/a", "one"],
    ["log/a", "two"],
    ["log/a", { n: 3 }],
  ] as const) {
    answers.push((await (await publish(api, tag, payload)).json()) as (typeof answers)[number]);
  }
  expect(answers.map(({ position }) => position?.[1])).toEqual([undefined, 1, 2]);
  expect(await client.payloads(1, "live/a")).toEqual(["one"]);
  const logged = await client.messages(2, "log/a");
  expect(logged.map(([, , offset, payload]) => [offset, payload])).toEqual([
    [1, "two"],
    [2, { n: 3 }],
  ]);
  expect(await events.messages(1, "live/a")).toMatchObject([{ payload: "one" }]);
  expect(await events.messages(2, "log/a")).toMatchObject([{ payload: "two" }, { payload: { n: 3 } }]);

  const { position } = await client.ok(op.publish, "log/a", "by socket");
  const read = async (path: string) => (await fetch(api.http + path, { headers: { authorization } })).json();
  expect(await read("/v1/history?tag=log/a&last=1")).toMatchObject({
    position,
    messages: [{ offset: 3, payload: "by socket" }],
  });
  expect(await read("/v1/presence?tag=log/a")).toMatchObject({
    count: 2,
    members: expect.arrayContaining([expect.objectContaining({ client: "reader" })]),
  });
});

test("two processes with --reuse-port share the connections of one port, and one serves on when the other ends", async () => {
  await using first = await start("--reuse-port");
  const { port } = new URL(first.url);
  await using second = await start("--reuse-port", "--port", port);
  expect(second.url).toBe(first.url);
  await using clients = new AsyncDisposableStack();
  // The kernel deals them out by chance: that one process gets none of so many does not happen.
  for (let i = 0; i < 64; i++) clients.use(await WireClient.open(first.url, { token: adminToken }));
  await Promise.all([first, second].map((server) => server.until(/"session opened"/, "stderr")));
  first.signal("SIGTERM");
  expect(await first.end()).toBe(0);
  await using late = await WireClient.open(second.url, { token: adminToken });
  expect(await late.ok(op.ping)).toEqual({});
});
