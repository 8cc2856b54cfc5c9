/**
 * Slow subscribers over real sockets: the kernel takes some megabytes, the server holds about one, and from then on the
 * rule of each tag decides; readers beside them lose nothing.
 */
import { describe, expect, test } from "bun:test";
import { decodeMulti, encode } from "@msgpack/msgpack";
import { op } from "../../../src/wire/messages.ts";
import { opcode, RawSocket } from "../../harness/raw-socket.ts";
import { adminToken, startServer, type TestServer } from "../../harness/server.ts";
import type { WireMessage } from "../../harness/wire-client.ts";

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
const payloadBytes = 64 * 1024;
const filler = new Uint8Array(payloadBytes);
const MiB = 1024 ** 2;
/** More than kernel and server hold for one socket together. */
const count = 240;
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** A peer that can stop to read, subscribed to `pattern`. */
async function subscribe(server: TestServer, pattern: string): Promise<RawSocket> {
  const raw = await RawSocket.open(server.url, { headers: { Authorization: `Bearer ${adminToken}` } });
  raw.sendFrame({ opcode: opcode.binary, payload: encode([op.subscribe, 1, pattern]) });
  await raw.next(opcode.binary);
  return raw;
}

function messagesOf(raw: RawSocket): WireMessage[] {
  return raw.frames
    .filter((frame) => frame.opcode === opcode.binary)
    .flatMap((frame) => [...decodeMulti(frame.payload)] as WireMessage[])
    .filter(([kind]) => kind !== op.ok);
}

/** What of a message these tests look at: `[number]` of op 18, op 20 as it is. */
function brief(message: WireMessage): unknown {
  return message[0] === op.message ? (message[3] as [number])[0] : message;
}

/** Publishes numbered messages while `slow` does not read and a healthy client does; then `slow` reads again. */
async function run(server: TestServer, tag: string, pattern = tag): Promise<readonly WireMessage[]> {
  await using slow = await subscribe(server, pattern);
  await using healthy = await server.connect();
  await healthy.ok(op.subscribe, pattern);
  await using publisher = await server.connect();
  slow.read(false);
  for (let i = 1; i <= count; i++) {
    await publisher.ok(op.publish, tag, [i, filler]);
  }
  expect((await healthy.payloads(count)).map((payload) => (payload as [number])[0])).toEqual(range(1, count));
  expect(server.running.hub.sinks.counts.demoted).toBe(1);
  const held = [...server.running.registry].map((session) => session.bufferedBytes());
  expect(Math.max(...held)).toBeLessThan(3 * MiB);
  slow.read(true);
  // What comes behind shows that it is back, and that nothing else comes.
  await slow.until(() => server.running.hub.sinks.size === 0 || graduated(slow), "the end of being slow", 4000);
  await publisher.ok(op.publish, tag, [count + 1, filler]);
  await slow.until(() => brief(messagesOf(slow).at(-1) ?? []) === count + 1, "the message behind");
  return messagesOf(slow);
}

function graduated(raw: RawSocket): boolean {
  const last = messagesOf(raw).at(-1);
  return last !== undefined && (last[0] === op.gap || brief(last) === count);
}

/** Splits what came into the numbers before the first gap, the gap, and the numbers behind it. */
function around(messages: readonly WireMessage[]): { before: unknown[]; gaps: WireMessage[]; after: unknown[] } {
  const first = messages.findIndex(([kind]) => kind === op.gap);
  const gaps = messages.filter(([kind]) => kind === op.gap);
  const before = messages.slice(0, first).map(brief);
  const after = messages
    .slice(first)
    .filter(([kind]) => kind !== op.gap)
    .map(brief);
  return { before, gaps, after };
}

describe("a subscriber that stops to read", () => {
  test("without a log loses some in one piece and is told how many", async () => {
    await using server = await startServer({ toml });
    const { before, gaps, after } = around(await run(server, "live/1"));
    const lost = count + 1 - before.length - after.length;
    expect(lost).toBeGreaterThan(0);
    expect(gaps).toEqual([[20, "live/1", null, null, { code: 200, count: lost }]]);
    expect([...before, ...after]).toEqual([...range(1, before.length), ...range(before.length + lost + 1, count + 1)]);
  });

  test("through a wildcard is told under the pattern's name", async () => {
    await using server = await startServer({ toml });
    const { gaps } = around(await run(server, "live/1", "live/#"));
    expect(gaps).toMatchObject([[20, "live/#", null, null, { code: 200 }]]);
  });

  test("with delivery stream loses some and is told which", async () => {
    await using server = await startServer({ toml });
    const { before, gaps, after } = around(await run(server, "stream/1"));
    const from = before.length + 1;
    const to = count + 1 - after.length;
    expect(gaps).toEqual([[20, "stream/1", from, to, { code: 200, count: to - from + 1 }]]);
    expect(before).toEqual(range(1, from - 1));
    expect(after).toEqual(range(to + 1, count + 1));
  });

  test("with delivery latest gets the newest, and is told which it replaced", async () => {
    await using server = await startServer({ toml });
    const { before, gaps, after } = around(await run(server, "latest/1"));
    const from = before.length + 1;
    expect(gaps).toEqual([[20, "latest/1", from, count - 1, { code: 201, count: count - from }]]);
    expect(before).toEqual(range(1, from - 1));
    expect(after).toEqual([count, count + 1]);
  });

  test("with delivery reliable loses nothing", async () => {
    await using server = await startServer({ toml });
    const messages = await run(server, "reliable/1");
    expect(messages.map(brief)).toEqual(range(1, count + 1));
  });

  test("with delivery reliable is told what the log lost meanwhile", async () => {
    await using server = await startServer({ toml });
    const { before, gaps, after } = around(await run(server, "trimmed/1"));
    const from = before.length + 1;
    const to = count + 1 - after.length;
    expect(to).toBeGreaterThan(from);
    expect(gaps).toEqual([[20, "trimmed/1", from, to, { code: 202 }]]);
    expect(before).toEqual(range(1, from - 1));
    expect(after).toEqual(range(to + 1, count + 1));
  });
});
