/** `GET /metrics` of a whole server: who may read it, that it parses, and that its numbers move as what they count does. */
import { describe, expect, test } from "bun:test";
import { limitMetrics } from "../../../src/observe/limit-metrics.ts";
import { delayMetric, latencyMetric, metricTable } from "../../../src/observe/metric-table.ts";
import { portMetrics } from "../../../src/observe/port-metrics.ts";
import { op } from "../../../src/wire/messages.ts";
import { deadlineMs } from "../../harness/deadline.ts";
import { EventClient } from "../../harness/event-client.ts";
import { adminToken, startServer, type TestServer } from "../../harness/server.ts";
import { mint } from "../../unit/auth/mint.ts";

const acmeSecret = "a".repeat(32);
const toml = `
[[tags]]
pattern = "log/#"
history = { size = 5 }
[[tags]]
pattern = "here/#"
presence = true
[[applications.acme.keys]]
algorithm = "HS256"
secret = "${acmeSecret}"
`;

interface Scrape {
  readonly types: ReadonlyMap<string, string>;
  /** By name and labels as they stand there. */
  readonly samples: ReadonlyMap<string, number>;
  of(series: string): number;
}

/** The text format by the letter: anything else in it fails. */
function parse(text: string): Scrape {
  expect(text.endsWith("\n")).toBe(true);
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment;
      if (kind === "HELP") helps.add(name);
      else types.set(name, rest);
      continue;
    }
    const label = String.raw`[a-z]\w*="(?:[^"\\\n]|\\[\\"n])*"`;
    const sample = new RegExp(String.raw`^([a-z_]+(?:\{${label}(?:,${label})*\})?) (-?[0-9.e+-]+)$`).exec(line);
    expect({ line, parsed: sample !== null }).toEqual({ line, parsed: true });
    const [, series = "", value = ""] = sample ?? [];
    expect(samples.has(series)).toBe(false);
    samples.set(series, Number(value));
  }
  expect(new Set(types.keys())).toEqual(helps);
  const of = (series: string) => {
    const value = samples.get(series);
    if (value === undefined) throw new Error(`There is no ${series}`);
    return value;
  };
  return { types, samples, of };
}

async function scrape(server: TestServer): Promise<Scrape> {
  const response = await fetch(`${server.http}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return parse(await response.text());
}

/** What was added to series while `act` ran. */
async function moved(server: TestServer, act: () => Promise<void>): Promise<(series: string) => number> {
  const before = await scrape(server);
  await act();
  const after = await scrape(server);
  return (series) => after.of(series) - before.of(series);
}

const msgpack = '{transport="websocket",lane="msgpack"}';
const json = '{transport="websocket",lane="json"}';
const sse = '{transport="sse",lane="json"}';
const http = '{transport="http",lane="json"}';

describe("metrics", () => {
  test("are all there from the start, each of its type", async () => {
    await using server = await startServer({ toml });
    const { types, samples } = await scrape(server);
    const tables = [...metricTable, ...limitMetrics, ...portMetrics];
    const expected = [...tables, { ...latencyMetric, type: "histogram" }, { ...delayMetric, type: "gauge" }];
    expect(types).toEqual(new Map(expected.map(({ name, type }) => [name, type])));
    for (const { name, labels } of tables) {
      // One for each of what there is none.
      if (name === "tagcast_connections" || name === "tagcast_tls_certificate_expiry_seconds") continue;
      const series = [...samples.keys()].filter((key) => key === name || key.startsWith(`${name}{`));
      expect({ name, series: series.length > 0 }).toEqual({ name, series: true });
      for (const key of series) for (const label of labels) expect(key).toContain(`${label}="`);
    }
    for (const value of samples.values()) expect(Number.isFinite(value)).toBe(true);
  });

  test("are for administrators of application main alone", async () => {
    await using server = await startServer({ toml });
    const status = async (token: string | null) =>
      (await fetch(`${server.http}/metrics`, { headers: token === null ? {} : { authorization: `Bearer ${token}` } }))
        .status;
    const claims = { sub: "a", exp: Math.floor(Date.now() / 1000) + 60 };
    const acme = await mint({ ...claims, grants: { "#": ["readwrite", "admin"] } }, {}, Buffer.from(acmeSecret));
    const made = await fetch(`${server.http}/v1/tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "reader", grants: { "#": ["readwrite"] } }),
    });
    const { secret } = (await made.json()) as { secret: string };
    expect([await status(null), await status("wrong"), await status(secret), await status(acme)]).toEqual([
      401, 401, 403, 403,
    ]);
    expect(await status(adminToken)).toBe(200);
    const { of } = await scrape(server);
    expect(of("tagcast_authentication_failures_total")).toBe(1);
    expect(of('tagcast_errors_total{error="denied"}')).toBe(2);
  });

  test("count connections by application, transport and lane", async () => {
    await using server = await startServer({ toml });
    await using clients = new AsyncDisposableStack();
    clients.use(await server.connect());
    clients.use(await server.connect({ lane: "json" }));
    const subscriber = clients.use(await server.connect({ lane: "json" }));
    const stream = clients.use(await EventClient.open(`${server.http}/events?tags=a,log/%23`));
    clients.use(await server.dial());
    await subscriber.ok(op.subscribe, "a");
    await stream.next("subscribed");
    const labels = (transport: string, lane: string) => `{application="main",transport="${transport}",lane="${lane}"}`;
    const { of } = await scrape(server);
    expect(of(`tagcast_connections${labels("websocket", "msgpack")}`)).toBe(1);
    expect(of(`tagcast_connections${labels("websocket", "json")}`)).toBe(2);
    expect(of(`tagcast_connections${labels("sse", "json")}`)).toBe(1);
    expect(of("tagcast_connections_opened_total")).toBe(5);
    expect(of("tagcast_subscriptions")).toBe(3);
    expect(of('tagcast_topics{application="main"}')).toBe(2);
    expect(of('tagcast_topics{application="acme"}')).toBe(0);
    expect(of("tagcast_sinks")).toBe(2);
  });

  test("count messages and bytes in and out, by transport and lane", async () => {
    await using server = await startServer({ toml });
    await using one = await server.connect();
    await using two = await server.connect();
    await using text = await server.connect({ lane: "json" });
    await using stream = await EventClient.open(`${server.http}/events?tags=log/%23`);
    for (const client of [one, two, text]) await client.ok(op.subscribe, "log/#");
    const by = await moved(server, async () => {
      await one.ok(op.publish, "log/a", "x".repeat(100));
      await text.ok(op.publish, "log/a", "ü".repeat(100));
      await text.ok(op.publish, ["log/a", "log/b"], 1);
      const sent = await fetch(`${server.http}/v1/publish?tag=log/a`, {
        method: "POST",
        headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
        body: '"from http"',
      });
      expect(sent.status).toBe(200);
      for (const client of [one, two, text]) await client.messages(5);
      await stream.messages(5);
    });
    expect(by(`tagcast_received_messages_total${msgpack}`)).toBe(1);
    expect(by(`tagcast_received_messages_total${json}`)).toBe(2);
    expect(by(`tagcast_received_messages_total${http}`)).toBe(1);
    expect(by(`tagcast_received_bytes_total${http}`)).toBe('"from http"'.length);
    const texts = [`[4,2,"log/a","${"ü".repeat(100)}"]`, '[4,3,["log/a","log/b"],1]'];
    expect(by(`tagcast_received_bytes_total${json}`)).toBe(Buffer.byteLength(texts.join("")));
    expect(by("tagcast_published_messages_total")).toBe(5);
    expect(by('tagcast_appends_total{outcome="appended"}')).toBe(5);
    expect(by(`tagcast_sent_messages_total${msgpack}`)).toBe(10);
    expect(by(`tagcast_sent_messages_total${json}`)).toBe(5);
    expect(by(`tagcast_sent_messages_total${sse}`)).toBe(5);
    // Two subscribers got each payload of 100 bytes and more; the text form of 100 letters takes 200.
    expect(by(`tagcast_sent_bytes_total${msgpack}`)).toBeGreaterThan(2 * 300);
    expect(by(`tagcast_sent_bytes_total${msgpack}`)).toBeLessThan(2 * 600);
    const events = stream.lines.slice(stream.lines.indexOf("event: message"));
    expect(by(`tagcast_sent_bytes_total${sse}`)).toBe(Buffer.byteLength(events.join("\n")) + 1);
    expect(by(`${latencyMetric.name}_count`)).toBeGreaterThan(1);
    expect(by(`${latencyMetric.name}_bucket{le="+Inf"}`)).toBe(by(`${latencyMetric.name}_count`));
    expect(by(`${latencyMetric.name}_bucket{le="1"}`)).toBe(by(`${latencyMetric.name}_count`));
    expect(by(`${latencyMetric.name}_sum`)).toBeGreaterThan(0);
    expect(by("tagcast_fanout_frames_total")).toBeGreaterThan(1);
  });

  test("count what the broker holds, repeated publishes, and refusals by reason", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    const by = await moved(server, async () => {
      for (let i = 0; i < 8; i++) await client.ok(op.publish, "log/a", i, { id: `i${i % 7}` });
      await client.ok(op.subscribe, "here/x");
      await client.refused(op.subscribe, "here/x");
      await client.refused(op.publish, "a/+", 1);
      await client.refused(op.publish, "$system", 1);
    });
    expect(by('tagcast_appends_total{outcome="repeated"}')).toBe(1);
    expect(by("tagcast_logs")).toBe(1);
    expect(by("tagcast_log_messages")).toBe(5);
    expect(by("tagcast_log_bytes")).toBeGreaterThan(5);
    expect(by("tagcast_idempotency_keys")).toBe(7);
    expect(by("tagcast_presence_members")).toBe(1);
    for (const error of ["already-subscribed", "invalid-tag", "denied"]) {
      expect([error, by(`tagcast_errors_total{error="${error}"}`)]).toEqual([error, 1]);
    }
  });

  test("count gaps, and connections that the server ended, by reason", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    await using other = await server.connect();
    const by = await moved(server, async () => {
      for (let i = 0; i < 8; i++) await client.ok(op.publish, "log/a", i);
      const { position } = (await client.ok(op.subscribe, "log/a")) as { position: [number, number] };
      await other.ok(op.subscribe, "log/a", { since: [position[0], 1] });
      await other.next(op.gap);
      await EventClient.open(`${server.http}/events?tags=log/a&lastEventId=zzz`).catch(() => {});
      const headers = { authorization: `Bearer ${adminToken}` };
      await fetch(`${server.http}/v1/connections/${String(other.welcome["session"])}`, { method: "DELETE", headers });
      await other.ended();
    });
    expect(by('tagcast_gaps_total{reason="trimmed"}')).toBe(1);
    expect(by('tagcast_connections_ended_total{reason="removed"}')).toBe(1);
    expect(by('tagcast_errors_total{error="bad-request"}')).toBe(1);
  });

  test("tell how late the event loop was since the last time", async () => {
    await using server = await startServer({ toml });
    const longest = `${delayMetric.name}{quantile="1"}`;
    await scrape(server);
    const until = performance.now() + 300;
    while (performance.now() < until);
    let told = 0;
    // Each reading begins anew, and the delay is known once the event loop is back.
    const giveUpAt = performance.now() + deadlineMs;
    while (told <= 0.2 && performance.now() < giveUpAt) told = (await scrape(server)).of(longest);
    expect(told).toBeGreaterThan(0.2);
    expect(told).toBeLessThan(10);
  });

  test("of two servers in one process are their own", async () => {
    await using one = await startServer({ toml });
    await using two = await startServer({ toml });
    await using client = await one.connect();
    await client.ok(op.ping);
    expect((await scrape(one)).of("tagcast_connections_opened_total")).toBe(1);
    expect((await scrape(two)).of("tagcast_connections_opened_total")).toBe(0);
  });
});
