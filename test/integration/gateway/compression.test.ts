/** `permessage-deflate`: off unless configured, used for those who offer it, and bounded by what a frame inflates to. */
import { expect, test } from "bun:test";
import { decode, encode } from "@msgpack/msgpack";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { op } from "../../../src/wire/messages.ts";
import { frameBytes, opcode, RawSocket } from "../../harness/raw-socket.ts";
import { adminToken, startServer, type TestServer } from "../../harness/server.ts";

const offer = "permessage-deflate; client_max_window_bits";
const compressed = 0x40;
const text = "temperature 21.5 degrees; ".repeat(40);

function open(server: TestServer, headers: Readonly<Record<string, string>> = {}): Promise<RawSocket> {
  return RawSocket.open(server.url, { headers: { Authorization: `Bearer ${adminToken}`, ...headers } });
}

/** What follows the deflated bytes in RFC 7692, section 7.2.2. */
const tail = Uint8Array.of(0, 0, 0xff, 0xff);

test("without the setting an offer is not taken up", async () => {
  await using server = await startServer();
  await using socket = await open(server, { "Sec-WebSocket-Extensions": offer });
  expect(socket.response.toLowerCase()).not.toContain("sec-websocket-extensions");
});

test("with it a large message is compressed for the subscriber who offered it, and for no other", async () => {
  await using server = await startServer({ flags: ["--compression"] });
  await using able = await open(server, { "Sec-WebSocket-Extensions": offer });
  await using plain = await open(server);
  expect(able.response.toLowerCase()).toContain("permessage-deflate");
  expect(plain.response.toLowerCase()).not.toContain("sec-websocket-extensions");
  await using publisher = await server.connect();
  for (const socket of [able, plain]) {
    socket.sendFrame({ opcode: opcode.binary, payload: encode([op.subscribe, 1, "a"]) });
    const answer = await socket.next();
    expect(answer.compressed).toBe(false);
  }
  publisher.send([op.publish, 0, "a", text]);
  const [short, long] = [await able.next(), await plain.next()];
  expect([short.compressed, long.compressed]).toEqual([true, false]);
  expect(short.payload.length).toBeLessThan(long.payload.length / 4);
  const expected = [op.message, "a", null, text];
  expect(decode(inflateRawSync(Buffer.concat([short.payload, tail]), { finishFlush: constants.Z_SYNC_FLUSH }))).toEqual(
    expected,
  );
  expect(decode(long.payload)).toEqual(expected);
});

test("what a client compresses is read as what it stands for", async () => {
  await using server = await startServer({ flags: ["--compression"] });
  await using subscriber = await server.connect();
  await subscriber.ok(op.subscribe, "a");
  await using socket = await open(server, { "Sec-WebSocket-Extensions": offer });
  const deflated = deflateRawSync(encode([op.publish, 0, "a", text]), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(
    0,
    -4,
  );
  socket.sendFrame({ opcode: opcode.binary | compressed, payload: deflated });
  expect(await subscriber.payloads(1)).toEqual([text]);
});

test("a frame that inflates beyond the bound ends its sender alone", async () => {
  await using server = await startServer({ flags: ["--compression"] });
  await using subscriber = await server.connect();
  await subscriber.ok(op.subscribe, "a");
  await using bomb = await open(server, { "Sec-WebSocket-Extensions": offer });
  const deflated = deflateRawSync(Buffer.alloc(100 * 1024 * 1024), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(
    0,
    -4,
  );
  const before = process.memoryUsage.rss();
  bomb.send(frameBytes({ opcode: opcode.binary | compressed, payload: deflated }));
  await bomb.until(() => bomb.closed || bomb.ended, "the end of the connection");
  expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
  await using publisher = await server.connect();
  publisher.send([op.publish, 0, "a", "still here"]);
  expect(await subscriber.payloads(1)).toEqual(["still here"]);
});
