/** Event streams that are not read: the kernel takes some megabytes, the server holds about one, and nothing is lost untold. */
import { describe, expect, test } from "bun:test";
import { disconnects, gaps } from "../../../src/core/codes.ts";
import { op } from "../../../src/wire/messages.ts";
import { EventClient } from "../../harness/event-client.ts";
import { RawSocket } from "../../harness/raw-socket.ts";
import { adminToken, SocketClock, startServer, type TestServer } from "../../harness/server.ts";

const toml = `
[[tags]]
pattern = "latest/#"
history = { size = 5000 }
delivery = "latest"
[[tags]]
pattern = "stream/#"
history = { size = 5000 }
delivery = "stream"
[[tags]]
pattern = "reliable/#"
history = { size = 5000 }
[[tags]]
pattern = "trimmed/#"
history = { size = 20 }
`;
const MiB = 1024 ** 2;
const filler = "x".repeat(64 * 1024);
/** More than kernel and server hold for one socket together. */
const count = 240;

type Brief = number | Readonly<Record<string, unknown>>;

/** A stream whose client can stop to read. */
async function listen(server: TestServer, query: string): Promise<RawSocket> {
  const raw = await RawSocket.connect(server.http);
  raw.send(`GET /events?${query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${adminToken}\r\n\r\n`);
  await raw.until(() => raw.response.includes("event: subscribed"), "the stream");
  return raw;
}

/** The number of each message, other events as they are. */
function briefs(raw: RawSocket): Brief[] {
  const body = raw.response.slice(raw.response.indexOf("\r\n\r\n") + 4);
  let text = "";
  for (let at = 0; ;) {
    const end = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.slice(at, end), 16);
    if (end < 0 || !(size > 0) || end + 2 + size > body.length) break;
    text += body.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
  return [...text.matchAll(/event: (\w+)\n(?:id: .*\n)?data: (.*)\n\n/g)]
    .filter(([, type]) => type !== "subscribed")
    .map(([, type, data = ""]) => {
      const value = JSON.parse(data) as Readonly<Record<string, unknown>>;
      return type === "message" ? (value["payload"] as [number])[0] : value;
    });
}

const numbers = (all: readonly Brief[]) => all.filter((brief): brief is number => typeof brief === "number");
const told = (all: readonly Brief[]) => all.filter((brief) => typeof brief !== "number");
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

function bufferedBytes(server: TestServer): number {
  return Math.max(...[...server.running.registry].map((connection) => connection.bufferedBytes()));
}

/** Publishes numbered messages while one stream does not read and another does; then it reads again. */
async function run(server: TestServer, tag: string, pattern = tag): Promise<readonly Brief[]> {
  await using slow = await listen(server, `tags=${encodeURIComponent(pattern)}`);
  await using healthy = await EventClient.open(`${server.http}/events?tags=${encodeURIComponent(pattern)}`);
  await using publisher = await server.connect();
  slow.read(false);
  let most = 0;
  for (let i = 1; i <= count; i++) {
    await publisher.ok(op.publish, tag, [i, filler]);
    most = Math.max(most, bufferedBytes(server));
  }
  expect(most).toBeGreaterThan(MiB);
  expect(most).toBeLessThan(1.5 * MiB);
  expect((await healthy.messages(count)).map(({ payload }) => (payload as [number])[0])).toEqual(range(1, count));
  slow.read(true);
  const newest = () => slow.response.slice(-400_000);
  const isGapTold = () => tag.startsWith("reliable/") || newest().includes("event: gap");
  await slow.until(() => bufferedBytes(server) === 0 && isGapTold(), "the stream to drain");
  await publisher.ok(op.publish, tag, [count + 1, filler]);
  const behind = `"payload":[${count + 1},`;
  await slow.until(() => newest().includes(behind) && newest().endsWith("\n\n\r\n"), "the message behind");
  expect(server.running.hub.sinks.counts.demoted).toBe(0);
  return briefs(slow);
}

describe("an event stream that is not read", () => {
  test("gets everything in the end where delivery is reliable", async () => {
    // Time stands still: it goes on because it has drained, not because somebody looks after it.
    await using server = await startServer({ toml, clock: new SocketClock() });
    expect(await run(server, "reliable/a", "reliable/#")).toEqual(range(1, count + 1));
  });

  test("is told what its log no longer holds", async () => {
    await using server = await startServer({ toml });
    const all = await run(server, "trimmed/a");
    const [gap] = told(all);
    const at = all.indexOf(gap!);
    expect(told(all)).toEqual([{ tag: "trimmed/a", from: at + 1, to: count - 20, code: gaps.trimmed.code }]);
    expect(numbers(all)).toEqual([...range(1, at), ...range(count - 19, count + 1)]);
  });

  test("is told how many messages without a log it missed", async () => {
    await using server = await startServer({ toml });
    const all = await run(server, "live/a", "live/#");
    const missed = count + 1 - numbers(all).length;
    expect(missed).toBeGreaterThan(100);
    expect(told(all)).toEqual([{ pattern: "live/#", from: null, to: null, code: gaps.slow.code, count: missed }]);
    expect(server.running.hub.sinks.counts.slowDropped).toBe(missed);
  });

  test("is told what was dropped of a streamed log, in place", async () => {
    await using server = await startServer({ toml });
    const all = await run(server, "stream/a");
    const at = all.findIndex((brief) => typeof brief !== "number");
    const { to } = all[at] as { to: number };
    expect(all[at]).toEqual({ tag: "stream/a", from: at + 1, to, code: gaps.slow.code, count: to - at });
    expect(numbers(all)).toEqual([...range(1, at), ...range(to + 1, count + 1)]);
  });

  test("gets the newest alone where that is the rule", async () => {
    await using server = await startServer({ toml });
    const all = await run(server, "latest/a");
    const at = all.findIndex((brief) => typeof brief !== "number");
    expect(all[at]).toMatchObject({ tag: "latest/a", from: at + 1, code: gaps.conflated.code });
    expect(numbers(all).slice(-2)).toEqual([count, count + 1]);
  });

  test("is ended after a while, and cut off where it does not read even that", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ toml, clock, flags: ["--slow-deadline", "10s"] });
    await using slow = await listen(server, "tags=live,reliable/a");
    await using publisher = await server.connect();
    slow.read(false);
    for (let i = 1; i <= count; i++) await publisher.ok(op.publish, "reliable/a", [i, filler]);
    clock.advance(9_000);
    expect(server.log.of("event stream ended")).toEqual([]);
    clock.advance(2_000);
    expect(server.log.of("event stream ended")[0]?.fields["code"]).toBe(disconnects.slow.code);
    expect(server.running.hub.subscriptions.count).toBe(0);
    expect([...server.running.registry].map(({ transport }) => transport)).toEqual(["sse", "websocket"]);
    clock.advance(6_000);
    expect([...server.running.registry].map(({ transport }) => transport)).toEqual(["websocket"]);
    slow.read(true);
    await slow.until(() => slow.ended || slow.closed, "the end");
    expect(briefs(slow).length).toBeLessThan(count);
  });

  test("says why it ended, once it is read after all", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ toml, clock, flags: ["--slow-deadline", "10s"] });
    await using slow = await listen(server, "tags=live,reliable/a");
    await using publisher = await server.connect();
    slow.read(false);
    for (let i = 1; i <= count; i++) await publisher.ok(op.publish, "reliable/a", [i, filler]);
    clock.advance(11_000);
    slow.read(true);
    await slow.until(() => slow.response.endsWith("\r\n0\r\n\r\n"), "the end of the body");
    expect(told(briefs(slow))).toEqual([{ code: disconnects.slow.code, text: disconnects.slow.text, retryAfterMs: 0 }]);
    expect(numbers(briefs(slow))).toEqual(range(1, numbers(briefs(slow)).length));
    expect(server.running.registry.size).toBe(1);
  });
});
