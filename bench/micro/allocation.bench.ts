/**
 * Bytes that tagcast allocates on JavaScript's heap per published message, from the frame of the publisher to the frame
 * for the native topic. The garbage collector is switched off, so that the heap grows by what is allocated and nothing
 * else; the frame that arrives is the runtime's and is not counted.
 */
import { heapStats } from "bun:jsc";
import { median } from "../report/statistics.ts";
import { InProcess, printFigures, publishFrame } from "./in-process.ts";

/** Long enough for the compilers: what they do not allocate at all in the end is not counted. */
const warmUpMessages = 300_000;
const messages = 50_000;
const rounds = 5;
const withoutCollector = { BUN_JSC_useGC: "0" };

if (process.env["BUN_JSC_useGC"] === "0") measure();
else {
  const again = Bun.spawnSync([process.execPath, import.meta.path, ...process.argv.slice(2)], {
    env: { ...process.env, ...withoutCollector },
    stdout: "inherit",
    stderr: "inherit",
  });
  process.exit(again.exitCode ?? 1);
}

function measure(): void {
  checkMethod();
  const figures: Record<string, number> = {};
  for (const payloadBytes of [64, 1024]) {
    for (const perTurn of [1, 32]) {
      figures[`allocatedBytesPerMessage, ${payloadBytes} B, ${perTurn} per turn`] = bytesPerMessage(
        payloadBytes,
        perTurn,
      );
    }
  }
  printFigures(figures);
  process.exit();
}

function bytesPerMessage(payloadBytes: number, perTurn: number): number {
  const server = new InProcess();
  server.subscribe(server.connect(), "load/0");
  const publisher = server.connect();
  const frame = publishFrame("load/0", payloadBytes);
  const publish = (count: number) => {
    for (let i = 1; i <= count; i++) {
      publisher.receive(frame);
      if (i % perTurn === 0) server.endTurn();
    }
  };
  publish(warmUpMessages);
  const values = Array.from({ length: rounds }, () => allocated(() => publish(messages)) / messages);
  if (server.published === 0) throw new Error("Messages were not delivered");
  return Math.round(median(values) * 10) / 10;
}

function allocated(run: () => void): number {
  const before = heapBytes();
  run();
  return heapBytes() - before;
}

/** What the heap has taken from the system, with array contents that lie outside it. */
function heapBytes(): number {
  const { heapCapacity, extraMemorySize } = heapStats();
  return heapCapacity + extraMemorySize;
}

/** Arrays of a known size: a runtime in which this does not hold cannot be measured this way. */
function checkMethod(): void {
  const kept: Float64Array[] = [];
  const bytes = allocated(() => {
    for (let i = 0; i < 20_000; i++) kept.push(new Float64Array(64));
  });
  const each = bytes / kept.length;
  if (each < 512 || each > 700)
    throw new Error(`An array of 512 bytes seems to take ${each}: this method does not work`);
}
