/** One subscriber that never reads, among a hundred that do, under full load: what a whole process does about it. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { decodeMulti } from "@msgpack/msgpack";
import { op } from "../../src/wire/messages.ts";
import { Conditions, within } from "../harness/deadline.ts";
import { numbered, NumberedReader, payloadBytes } from "../harness/numbered-reader.ts";
import { opcode, RawSocket } from "../harness/raw-socket.ts";
import { startProcess } from "../harness/server.ts";

const MiB = 1024 ** 2;
const readers = 100;
const messages = (48 * MiB) / payloadBytes;
/** By then the process has the size that work needs, and the kernel holds what it takes for a socket that is not read. */
const warm = (8 * MiB) / payloadBytes;
/** The server may hold 2 MiB for the slow one, and the heap breathes; a buffer without a bound would grow by 40 MiB and more. */
const growthMaxBytes = 24 * MiB;
/** Messages that the slowest reader may be behind: less than what counts as slow. */
const window = (512 * 1024) / payloadBytes;

/** Kilobytes, from `/proc`. */
function memory(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
}

test("the others lose nothing, memory stays bounded, and the slow one is told", async () => {
  await using server = await startProcess();
  const tag = "n";
  const conditions = new Conditions();
  const healthy = Array.from(
    { length: readers },
    () => new NumberedReader(server.url, server.token, tag, () => conditions.check()),
  );
  await within(Promise.all(healthy.map((reader) => reader.ready)), "the readers");
  await using slow = await RawSocket.open(server.url, {
    path: `/ws?tags=${tag}`,
    headers: { Authorization: `Bearer ${server.token}` },
  });
  await using publisher = await server.connect();
  await publisher.ok(op.ping);
  slow.read(false);
  let warmBytes = 0;
  const behind = () => Math.min(...healthy.map((reader) => reader.count));
  for (let sent = 0; sent < messages;) {
    for (const end = sent + window / 2; sent < end;) publisher.send([op.publish, 0, tag, numbered(++sent)]);
    await conditions.until(
      () => behind() > sent - window || undefined,
      () => `readers: ${behind()} of ${sent}`,
    );
    if (healthy.some((reader) => reader.stray !== null)) break;
    if (sent >= warm && warmBytes === 0) warmBytes = memory(server.pid, "VmRSS");
  }
  await conditions.until(
    () => behind() === messages || undefined,
    () => `readers: ${behind()} of ${messages}`,
  );
  expect(memory(server.pid, "VmHWM") - warmBytes).toBeLessThan(growthMaxBytes);
  expect(healthy.map((reader) => reader.stray)).toEqual(Array(readers).fill(null));
  expect(healthy.map((reader) => reader.count)).toEqual(Array(readers).fill(messages));
  slow.read(true);
  const told = () =>
    slow.frames
      .filter((frame) => frame.opcode === opcode.binary)
      .flatMap((frame) => [...decodeMulti(frame.payload)] as unknown[][]);
  await slow.until(() => told().at(-1)?.[0] === op.gap, "a gap");
  const gap = told().at(-1)!;
  const got = told().filter(([kind]) => kind === op.message);
  expect(gap).toEqual([20, tag, null, null, { code: 200, count: messages - got.length }]);
  expect(got.map((message) => Buffer.from(message[3] as Uint8Array).readUInt32BE())).toEqual(got.map((_, i) => i + 1));
  for (const reader of healthy) reader.close();
}, 30_000);
