/** How connections end, looked at on the wire: the runtime frees a closed socket only when its peer does something. */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { decode, encode } from "@msgpack/msgpack";
import { op } from "../../../src/wire/messages.ts";
import { within } from "../../harness/deadline.ts";
import { opcode, RawSocket } from "../../harness/raw-socket.ts";
import { adminToken, SocketClock, startServer, type TestServer } from "../../harness/server.ts";
import { mint, secret } from "../../unit/auth/mint.ts";

const MiB = 1024 ** 2;
const authorized = { Authorization: `Bearer ${adminToken}` };
/** So that being mute is not what ends a peer that reads nothing. */
const rarePings = ["--ping-interval", "900s"];
const message = (...parts: unknown[]) => ({ opcode: opcode.binary, payload: encode(parts) });

/** Descriptors of this process: both ends of a connection of a test are in it. */
function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Lets the event loop turn until `holds`. */
async function turnsUntil(holds: () => boolean, what: string): Promise<void> {
  const given = new AbortController();
  const look = async () => {
    while (!given.signal.aborted && !holds()) await new Promise((done) => setImmediate(done));
  };
  await within(look(), what).finally(() => given.abort());
}

/** A peer that has subscribed to `flood` and reads nothing until it was just told to go for that; `clock` stands at that moment. */
async function tooSlow(server: TestServer, clock: SocketClock): Promise<RawSocket> {
  const raw = await RawSocket.open(server.url, { headers: authorized });
  raw.sendFrame(message(op.subscribe, 1, "flood"));
  await raw.next(opcode.binary);
  raw.read(false);
  const publisher = await server.connect();
  // The kernel takes some more now and then: what it makes room for is filled again.
  for (let i = 0; server.log.of("session ended").length === 0; i++) {
    if (i === 2000) throw new Error("It never counts as too slow");
    await publisher.ok(op.publish, "flood", new Uint8Array(MiB / 4));
    clock.advance(250);
  }
  await publisher.close();
  await server.log.until("session closed");
  return raw;
}

describe("op 22 and the close frame", () => {
  test("come in this order, with the same code, and nothing behind them", async () => {
    await using server = await startServer();
    await using raw = await RawSocket.open(server.url);
    raw.sendFrame({ opcode: opcode.text, payload: "[9,1]" });
    const frames = [await raw.next(), await raw.next()];
    expect(frames.map((frame) => frame.opcode)).toEqual([opcode.binary, opcode.close]);
    expect((decode(frames[0]!.payload) as unknown[]).slice(0, 2)).toEqual([22, 3505]);
    expect(frames[1]!.payload.readUInt16BE(0)).toBe(3505);
    await raw.until(() => raw.ended, "the end");
    expect(raw.frames).toHaveLength(2);
  });

  test("come behind the answers and messages of the same frame", async () => {
    await using server = await startServer();
    await using client = await server.connect({ lane: "json" });
    client.sendFrame('[2,1,"a"]\n[4,2,"a","last words"]\n[9,3]\nnonsense');
    client.sendFrame("nonsense");
    client.sendFrame("nonsense");
    expect((await client.ended()).farewell?.[1]).toBe(3501);
    const told = client.received.slice(1).map((parts) => parts.slice(0, parts[0] === op.message ? 4 : 3));
    expect(told).toEqual([
      [16, 1, {}],
      [18, "a", null, "last words"],
      [16, 2, {}],
      [16, 3, {}],
      [17, 0, 102],
      [22, 3501, "Too many malformed messages"],
    ]);
  });
});

describe("a peer that does nothing once it was told to go", () => {
  test("is cut off after 5 seconds where it does not read", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ clock, flags: rarePings });
    const before = descriptors();
    await using raw = await tooSlow(server, clock);
    expect(server.log.of("session ended")).toMatchObject([{ fields: { code: 3001 } }]);
    clock.advance(4999);
    expect(server.running.registry.size).toBe(1);
    clock.advance(1);
    expect(server.running.registry.size).toBe(0);
    await turnsUntil(() => descriptors() === before + 1, "the server's end of the socket is freed");
    raw.read(true);
    await raw.until(() => raw.ended || raw.closed, "the end of the connection");
  });

  test("is told, and closed in order, where it reads after all", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ clock, flags: rarePings });
    await using raw = await tooSlow(server, clock);
    clock.advance(4999);
    raw.read(true);
    await raw.until(() => raw.ended, "the end");
    const [last, close] = raw.frames.slice(-2);
    expect([last?.opcode, close?.opcode]).toEqual([opcode.binary, opcode.close]);
    expect((decode(last!.payload) as unknown[]).slice(0, 2)).toEqual([22, 3001]);
    expect(server.running.registry.size).toBe(0);
    // Its timer is gone with it.
    clock.advance(5000);
  });

  test("does not count any more: its place is free", async () => {
    await using server = await startServer({ flags: ["--connections-max", "1"] });
    await using mute = await RawSocket.open(server.url);
    mute.sendFrame({ opcode: opcode.text, payload: "x" });
    await mute.next(opcode.close);
    await using client = await server.connect();
    expect(await client.ok(op.ping)).toEqual({});
  });
});

describe("sockets whose reading is paused", () => {
  const toml = `[[keys]]\nalgorithm = "HS256"\nsecret = "${secret}"\n`;

  test("are heard again once the credential is known", async () => {
    await using server = await startServer({ toml });
    const token = await mint({ sub: "a", exp: Math.floor(Date.now() / 1000) + 60, grants: { "#": ["readwrite"] } });
    await using client = await server.dial({ lane: "json" });
    const big = "x".repeat(100_000);
    client.sendFrame(`[1,1,{"token":"${token}"}]\n[2,2,"a"]`);
    for (let ref = 3; ref < 40; ref++) client.send([op.publish, ref, "a", `${ref} ${big}`]);
    expect(await client.answer(39)).toEqual([16, 39, {}]);
    expect((await client.payloads(37)).map((text) => Number.parseInt(String(text), 10))).toEqual(
      Array.from({ length: 37 }, (_, i) => i + 3),
    );
  });
});

describe("what the runtime refuses", () => {
  test("a frame over the transport's bound is closed with 1009, and nobody else notices", async () => {
    await using server = await startServer({ flags: ["--payload-max", "1KiB"] });
    await using healthy = await server.connect();
    await healthy.ok(op.subscribe, "a");
    await using client = await server.connect();
    client.sendFrame(new Uint8Array(2 * 1024 + 64 * 1024 + 1));
    expect((await client.ended()).code).toBe(1009);
    await healthy.ok(op.publish, "a", 1);
    expect(await healthy.payloads(1)).toEqual([1]);
  });

  test("a payload over the limit is an error, and the session goes on", async () => {
    await using server = await startServer({ flags: ["--payload-max", "1KiB"] });
    for (const lane of ["msgpack", "json"] as const) {
      await using client = await server.connect({ lane });
      await client.ok(op.subscribe, "a");
      expect(client.welcome["payloadMax"]).toBe(1024);
      expect(await client.refused(op.publish, "a", "x".repeat(1025))).toBe(110);
      expect(await client.refused(op.publish, "a", "x".repeat(60_000))).toBe(110);
      await client.ok(op.publish, "a", "x".repeat(1021));
      expect((await client.payloads(1))[0]).toHaveLength(1021);
    }
  });

  test.each([
    ["an unmasked frame", { opcode: opcode.binary, payload: "x", masked: false }],
    ["an unknown opcode", { opcode: 3, payload: "x" }],
    ["a fragmented ping", { opcode: opcode.ping, payload: "x", fin: false }],
    ["a continuation of nothing", { opcode: opcode.continuation, payload: "x" }],
  ])("%s ends that connection alone", async (_, frame) => {
    await using server = await startServer();
    await using healthy = await server.connect();
    await using raw = await RawSocket.open(server.url, { headers: authorized });
    raw.sendFrame(frame);
    await raw.until(() => raw.ended || raw.closed, "the end");
    expect(await healthy.ok(op.ping)).toEqual({});
    expect(server.running.registry.size).toBe(1);
  });
});
