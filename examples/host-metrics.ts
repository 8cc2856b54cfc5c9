#!/usr/bin/env bun
/** Publishes this machine's own readings ten times a second: processors, load, memory, and bytes of the network. */
import { readFileSync } from "node:fs";
import os from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connectToServer } from "./target.ts";

const help = `Usage: bun examples/host-metrics.ts [--count <n>] [--name <name>]

Publishes to host/<name>/cpu/<n>, …/load, …/memory, …/net/<interface>/rx and …/tx, ten times a second.

  --count <n>    End after n rounds. Default: never.
  --name <name>  Default: the name of this machine.

TAGCAST_URL and TAGCAST_TOKEN say where to and as whom.`;
const intervalMs = 100;

/** What each message says; `time` in milliseconds since 1970. */
interface Reading {
  readonly time: number;
  readonly value: number;
  readonly unit: string;
  /** The largest value that there can be. */
  readonly max?: number;
}
/** Tag behind `host/<name>/` → reading, without its time. */
type Readings = Map<string, Omit<Reading, "time">>;

/** Share of the time since the last call in which each processor was busy. */
function processors(): (readings: Readings) => void {
  const busyAndAll = () =>
    os.cpus().map(({ times: { user, nice, sys, irq, idle } }) => {
      const busy = user + nice + sys + irq;
      return { busy, all: busy + idle };
    });
  let before = busyAndAll();
  if (before.length === 0) console.error("The system does not tell the times of its processors: left out");
  return (readings) => {
    const now = busyAndAll();
    for (const [n, { busy, all }] of now.entries()) {
      const last = before[n] ?? { busy: 0, all: 0 };
      const value = all > last.all ? (100 * (busy - last.busy)) / (all - last.all) : 0;
      readings.set(`cpu/${n}`, { value, unit: "%", max: 100 });
    }
    before = now;
  };
}

/** Bytes a second since the last call, by interface. */
function network(): (readings: Readings) => void {
  const totals = (): Map<string, number> => {
    const text = readFileSync("/proc/net/dev", "utf8");
    const rows = [...text.matchAll(/^\s*([^\s:]+):\s*(\d+)(?:\s+\d+){7}\s+(\d+)/gm)];
    return new Map(
      rows.flatMap(([, name, rx, tx]) => [
        [`net/${name}/rx`, Number(rx)],
        [`net/${name}/tx`, Number(tx)],
      ]),
    );
  };
  let before: Map<string, number>;
  try {
    before = totals();
  } catch {
    console.error("There is no /proc/net/dev: network bytes are left out");
    return () => {};
  }
  let beforeMs = performance.now();
  return (readings) => {
    const [now, nowMs] = [totals(), performance.now()];
    for (const [tag, bytes] of now) {
      const grown = Math.max(0, bytes - (before.get(tag) ?? bytes));
      readings.set(tag, { value: (1000 * grown) / (nowMs - beforeMs), unit: "B/s" });
    }
    [before, beforeMs] = [now, nowMs];
  };
}

function loadAndMemory(readings: Readings): void {
  readings.set("load", { value: os.loadavg()[0] ?? 0, unit: "" });
  const max = os.totalmem();
  readings.set("memory", { value: max - os.freemem(), unit: "B", max });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { count: { type: "string" }, name: { type: "string" }, help: { type: "boolean" } },
  });
  if (values.help) return console.log(help);
  const count = Number(values.count ?? Infinity);
  if (!(count > 0)) throw new Error(`--count must be a number above 0, got "${values.count}"`);
  // One level of a tag.
  const host = `host/${(values.name ?? os.hostname()).replaceAll(/[/+#\0]/g, "-")}`;
  const client = connectToServer({ client: "host-metrics" });
  const sources = [processors(), loadAndMemory, network()];
  console.log(`Publishing to ${host}/# every ${intervalMs} ms`);
  let next = performance.now();
  let acknowledged: Promise<unknown> = Promise.resolve();
  for (let round = 0; round < count; round++) {
    await pause((next += intervalMs) - performance.now());
    const readings: Readings = new Map();
    for (const read of sources) read(readings);
    const time = Date.now();
    // Not awaited: without a connection they wait in the client, in order, and are published late rather than lost.
    const round = [...readings].map(([tag, reading]) =>
      client.publish(`${host}/${tag}`, { time, ...reading } satisfies Reading).catch(tell),
    );
    acknowledged = Promise.all([acknowledged, ...round]);
  }
  await acknowledged;
  client.close();
}

let told = "";
/** What goes wrong goes wrong ten times a second. */
function tell(thrown: unknown): void {
  const { message } = thrown as Error;
  if (message !== told) console.error(`Not published: ${(told = message)}`);
}

await main().catch((thrown: unknown) => {
  console.error((thrown as Error).message);
  process.exitCode = 1;
});
