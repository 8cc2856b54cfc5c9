/** Whatever one client sends, a healthy one beside it gets all of its numbered messages, and the process goes on. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { op } from "../../../src/wire/messages.ts";
import { createRandom } from "../../harness/random.ts";
import { frameBytes, opcode, RawSocket } from "../../harness/raw-socket.ts";
import { adminToken, SocketClock, startServer, type TestServer } from "../../harness/server.ts";

const authorized = { Authorization: `Bearer ${adminToken}` };

/** A publisher and a subscriber in each lane; `check` publishes some more and sees that everything came, in order. */
async function healthy(server: TestServer) {
  const publisher = await server.connect();
  const subscribers = [await server.connect(), await server.connect({ lane: "json" })];
  for (const subscriber of subscribers) await subscriber.ok(op.subscribe, "numbers/+");
  let sent = 0;
  return {
    publish(count = 10): void {
      for (let i = 0; i < count; i++) publisher.send([op.publish, 0, "numbers/1", ++sent]);
    },
    async check(): Promise<void> {
      this.publish();
      const expected = Array.from({ length: sent }, (_, i) => i + 1);
      for (const subscriber of subscribers) expect(await subscriber.payloads(sent)).toEqual(expected);
      expect(server.log.entries.filter(({ level }) => level === "error")).toEqual([]);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const client of [publisher, ...subscribers]) await client[Symbol.asyncDispose]();
    },
  };
}

/** Nested arrays, the innermost empty. */
function nested(levels: number): Uint8Array {
  return new Uint8Array(levels).fill(0x91).with(levels - 1, 0x90);
}

const publishHead = [0x95, op.publish, 1, 0xa1, 0x61];
const frames: readonly (readonly [string, Uint8Array, number])[] = [
  ["nothing that is an array", Uint8Array.of(0x05), 102],
  ["an array cut short", Uint8Array.of(0x93, 2, 1), 102],
  ["an empty array", Uint8Array.of(0x90), 107],
  ["an array that claims 4 thousand million elements", Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff, 4, 1), 102],
  ["a string that claims 4 GiB", Uint8Array.of(0x93, 2, 1, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61), 102],
  [
    "a map that claims 4 thousand million keys",
    Uint8Array.of(0x94, 2, 1, 0xa1, 0x61, 0xdf, 0xff, 0xff, 0xff, 0xff),
    102,
  ],
  ["the byte that MessagePack never uses", Uint8Array.of(0xc1), 102],
  ["a payload cut short", Uint8Array.of(0x94, op.publish, 1, 0xa1, 0x61, 0xc6, 0, 1, 0, 0, 1), 102],
  ["an unknown op", Uint8Array.of(0x92, 30, 1), 104],
  ["a float for an op", encode([1.5, 1]), 107],
  ["a negative ref", encode([op.ping, -1]), 107],
  ["a tag with a wildcard", encode([op.publish, 1, "a/#", 1]), 108],
  ["an empty pattern", encode([op.subscribe, 1, ""]), 109],
  ["a pattern of 256 bytes", encode([op.subscribe, 1, "x".repeat(256)]), 109],
  ["17 tags", encode([op.publish, 1, Array.from({ length: 17 }, (_, i) => `t${i}`), 1]), 107],
  ["nesting beyond the limit", Uint8Array.of(...publishHead, ...nested(1000), 0xc0), 121],
];

describe("a client that sends", () => {
  test.each(frames)("%s is answered and affects nobody", async (_, frame, code) => {
    await using server = await startServer();
    await using others = await healthy(server);
    await using client = await server.connect();
    client.sendFrame(frame as Uint8Array<ArrayBuffer>);
    const [, , told] = await client.next(op.error);
    expect(told).toBe(code);
    if (code === 121) expect((await client.ended()).code).toBe(3501);
    else expect(await client.ok(op.ping)).toEqual({});
    await others.check();
  });

  test("random bytes in whole, fragmented and cut frames affects nobody", async () => {
    await using server = await startServer();
    await using others = await healthy(server);
    const random = createRandom();
    for (let round = 0; round < 60; round++) {
      await using raw = await RawSocket.open(server.url, {
        headers: { ...authorized, "Sec-WebSocket-Protocol": random.pick(["tagcast.v1.msgpack", "tagcast.v1.json"]) },
      });
      for (let i = 0; i < 8; i++) {
        const payload = random.bytes(random.int(200));
        const cut = random.int(payload.length + 1);
        const kind = random.pick([opcode.binary, opcode.text]);
        raw.sendFrame({ opcode: kind, payload: payload.subarray(0, cut), fin: random.chance(0.5) });
        raw.sendFrame({ opcode: opcode.continuation, payload: payload.subarray(cut) });
      }
      const last = frameBytes({ opcode: opcode.binary, payload: random.bytes(100) });
      raw.send(last.subarray(0, random.int(last.length)));
      others.publish(2);
    }
    await others.check();
  });

  test("messages that begin well and end badly, again and again, is ended with 3501 and affects nobody", async () => {
    await using server = await startServer();
    await using others = await healthy(server);
    const ends: (readonly unknown[] | null)[] = [];
    const good = encode([op.publish, 0, "numbers/x/y", "noise"]);
    for (let round = 0; round < 20; round++) {
      await using client = await server.connect();
      for (let i = 0; i < 3; i++) client.sendFrame(Buffer.concat([good, good.subarray(0, good.length - 2)]));
      ends.push((await client.ended()).farewell);
      others.publish(1);
    }
    expect(ends.map((farewell) => farewell?.[1])).toEqual(Array(20).fill(3501));
    await others.check();
  });

  test("a byte at a time, its frame in fragments, is understood", async () => {
    await using server = await startServer();
    await using raw = await RawSocket.open(server.url, { headers: authorized });
    const payload = encode([op.subscribe, 77, "a/b"]);
    for (let i = 0; i < payload.length; i++) {
      const frame = {
        opcode: i === 0 ? opcode.binary : opcode.continuation,
        payload: payload.subarray(i, i + 1),
        fin: i === payload.length - 1,
      };
      for (const byte of frameBytes(frame)) raw.send(Uint8Array.of(byte));
    }
    expect([...(await raw.next(opcode.binary)).payload]).toEqual([0x93, 16, 77, 0x80]);
  });

  test("half a frame and leaves is forgotten", async () => {
    await using server = await startServer();
    await using others = await healthy(server);
    {
      await using raw = await RawSocket.open(server.url, { headers: authorized });
      raw.sendFrame({ opcode: opcode.binary, payload: encode([op.subscribe, 1, "numbers/1"]) });
      await raw.next(opcode.binary);
      raw.send(frameBytes({ opcode: opcode.binary, payload: new Uint8Array(1000) }).subarray(0, 500));
      expect(server.running.registry.size).toBe(4);
    }
    await server.log.until("session closed");
    expect(server.running.registry.size).toBe(3);
    await others.check();
  });

  test("errors for ref 0 gets one per code and second, and the number of the others", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ clock });
    await using client = await server.connect();
    for (let i = 0; i < 5; i++) client.send([op.publish, 0, "a/#", 1]);
    client.send([op.publish, 0, "", 1], [op.unsubscribe, 0, "a"]);
    await client.ok(op.ping);
    clock.advance(1000);
    await client.until(() => client.all(op.error).length >= 3, "three errors");
    await client.ok(op.ping);
    expect(client.all(op.error)).toEqual([
      [17, 0, 108, "Not a valid tag"],
      [17, 0, 112, "Not subscribed to this pattern"],
      [17, 0, 108, "Not a valid tag", 5],
    ]);
  });
});
