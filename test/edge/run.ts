/** One run: devices publish readings to a box while its network and its power fail; at the end all three sides are compared. */
import { join } from "node:path";
import { Proxy } from "../harness/proxy.ts";
import type { Random } from "../harness/random.ts";
import { adminToken, scratchDirectory } from "../harness/server.ts";
import { root } from "../harness/source-tree.ts";
import { Box } from "./box.ts";
import { faultsOf } from "./check.ts";
import { Devices, type Reading } from "./devices.ts";
import { type Recorded, Recorder } from "./recorder.ts";
import { storm } from "./weather.ts";

export interface RunOptions {
  readonly seconds: number;
  readonly random: Random;
  /** Devices of the C client, and of the MicroPython client. */
  readonly c: number;
  readonly python: number;
  /** Readings a second, of each device. */
  readonly rate: number;
  readonly say: (line: string) => void;
}

export interface Outcome {
  readonly faults: readonly string[];
  readonly published: number;
  readonly acknowledged: number;
  readonly kept: number;
  readonly mishaps: ReadonlyMap<string, number>;
  readonly kills: number;
  readonly peakBytes: number;
  /** Whether a control group held the box to its memory. */
  readonly isBounded: boolean;
  readonly longestOutageMs: number;
}

/** Time for devices to reconnect and get their answers once all is well. */
const finishMs = 120_000;

export async function run({ seconds, random, c, python, rate, say }: RunOptions): Promise<Outcome> {
  using scratch = scratchDirectory();
  say("building the executable and the devices");
  const [exe, device] = await build(scratch.path);
  await using box = await Box.start(exe, scratch.path);
  using network = new Proxy(box.port);
  using recorder = new Recorder(`ws://127.0.0.1:${box.port}/ws`, adminToken, "log/#");
  await recorder.client.ready();
  const url = `ws://127.0.0.1:${network.port}/ws`;
  const load = (prefix: string, count: number) => [url, adminToken, prefix, String(count), String(rate)];
  await using stack = new AsyncDisposableStack();
  const crowds: Devices[] = [];
  const begin = (name: string, command: readonly string[]) => crowds.push(stack.use(new Devices(name, command)));
  if (c > 0) begin("the C devices", [device, ...load("log/c", c)]);
  if (python > 0) {
    begin("the MicroPython devices", [
      "/usr/bin/python3",
      "-B",
      join(root, "examples/firmware/micropython/device.py"),
      ...load("log/p", python),
    ]);
  }
  say(`${c} C devices and ${python} MicroPython devices, ${rate} readings a second each, for ${seconds} s`);
  const mishaps = await storm({ box, network, random }, performance.now() + seconds * 1000, say);
  say("all is well again: the devices wait for what was not answered");
  const byTag = new Map(
    (await Promise.all(crowds.map((crowd) => crowd.finish(finishMs)))).flatMap((tags) => [...tags]),
  );
  say("all is answered");
  const logs = await readLogs(box.port, [...byTag.keys()]);
  await recorder.reaches(new Map([...logs].map(([tag, log]) => [tag, log.length])), finishMs);
  const faults = recorder.gaps.map((gap) => `the recorder was told of a gap: ${gap}`);
  for (const [tag, readings] of byTag) {
    faults.push(...faultsOf({ tag, readings, log: logs.get(tag) ?? [], recorded: recorder.byTag.get(tag) ?? [] }));
  }
  const readings = [...byTag.values()].flat();
  return {
    faults,
    published: readings.length,
    acknowledged: readings.filter(isAcknowledged).length,
    kept: [...logs.values()].reduce((sum, log) => sum + log.length, 0),
    mishaps,
    kills: box.kills,
    peakBytes: box.peakBytes,
    isBounded: box.isBounded,
    longestOutageMs: recorder.longestOutageMs,
  };
}

function isAcknowledged({ place }: Reading): boolean {
  return place !== null;
}

/** Paths of the executable for this machine, and of the program that is many C devices. */
async function build(folder: string): Promise<readonly [string, string]> {
  const commands = [
    [process.execPath, join(root, "src/build.ts"), "--out", folder, "host"],
    ["make", "-s", "-C", join(root, "examples/firmware/c"), `BUILD=${folder}`, join(folder, "device")],
  ];
  const builds = commands.map(async (command) => {
    const child = Bun.spawn(command, { cwd: root, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, error, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (status !== 0) throw new Error(`${command.join(" ")}: ${out}${error}`);
    return out;
  });
  const [built = ""] = await Promise.all(builds);
  return [join(root, built.trim()), join(folder, "device")];
}

interface Page {
  readonly position: readonly [number, number];
  readonly messages: readonly { readonly offset: number; readonly payload: { readonly id: string } }[];
  readonly more: boolean;
}

/** What the box holds, by HTTP. */
async function readLogs(port: number, tags: readonly string[]): Promise<ReadonlyMap<string, readonly Recorded[]>> {
  const logs = new Map<string, Recorded[]>();
  for (const tag of tags) {
    const log: Recorded[] = [];
    for (let page: Page | null = null; page === null || page.more;) {
      page = await readPage(port, tag, log.at(-1));
      const [epoch] = page.position;
      for (const { offset, payload } of page.messages) log.push({ id: payload.id, epoch, offset });
    }
    logs.set(tag, log);
  }
  return logs;
}

async function readPage(port: number, tag: string, after: Recorded | undefined): Promise<Page> {
  const query = new URLSearchParams({ tag, limit: "1000" });
  if (after !== undefined) query.set("since", `${after.epoch}:${after.offset}`);
  const response = await fetch(`http://127.0.0.1:${port}/v1/history?${query}`, {
    headers: { authorization: `Bearer ${adminToken}` },
  });
  if (!response.ok) throw new Error(`The history of ${tag}: ${await response.text()}`);
  return (await response.json()) as Page;
}
