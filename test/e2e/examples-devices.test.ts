/** examples/devices: a lamp and the console to it, through a server process. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Example } from "../harness/example.ts";
import { type ServerProcess, startProcess } from "../harness/server.ts";

let server: ServerProcess;

beforeEach(async () => {
  server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
});
afterEach(() => server[Symbol.asyncDispose]());

const run = (file: string, ...args: readonly string[]) =>
  new Example(file, args, { TAGCAST_URL: server.url, TAGCAST_TOKEN: server.token });

/** What one call of the console prints, and its exit status. */
async function ask(...args: readonly string[]): Promise<{ out: string; err: string; status: number }> {
  await using program = run("devices/console.ts", ...args);
  const status = await program.end();
  return { out: program.stdout, err: program.stderr, status };
}

/** Asks for the list until it looks so; presence takes a moment to follow. */
async function untilListed(lines: RegExp): Promise<void> {
  let last = "";
  for (let i = 0; i < 20; i++) {
    last = (await ask("list")).out;
    if (lines.test(last)) return;
  }
  throw new Error(`Never listed so: ${lines}, but ${last}`);
}

test("the console lists devices, commands them, and knows the last state of those that are away", async () => {
  expect(await ask("list")).toEqual({ out: "", err: "", status: 0 });
  await using lamp = run("devices/device.ts", "lamp-1");
  await using other = run("devices/device.ts", "lamp-2");
  for (const device of [lamp, other]) await device.until(/^State: \{"on":false,"brightness":50\}$/m);
  await untilListed(/^lamp-1 {2}present {2}\{"on":false,"brightness":50\} since .+\nlamp-2 {2}present .+\n$/);

  expect(await ask("send", "lamp-1", "on")).toEqual({
    out: 'lamp-1: {"on":true,"brightness":50}\n',
    err: "",
    status: 0,
  });
  expect((await ask("send", "lamp-1", "brightness", "20")).out).toBe('lamp-1: {"on":true,"brightness":20}\n');
  await lamp.until(/^State: \{"on":true,"brightness":20\}$/m);
  expect(await ask("send", "lamp-1", "brightness", "200")).toEqual({
    out: "",
    err: "lamp-1: brightness goes from 0 to 100\n",
    status: 1,
  });
  expect((await ask("send", "lamp-1", "dance")).err).toContain("there is no command");
  expect(other.stdout).not.toContain("Command");

  lamp.signal("SIGKILL");
  await untilListed(/^lamp-1 {2}away {2}\{"on":true,"brightness":20\} since .+\nlamp-2 {2}present .+\n$/);
});

test("a command to a device that is not there fails in time, and is not carried out later", async () => {
  const { out, err, status } = await ask("send", "lamp-9", "on");
  expect({ out, status }).toEqual({ out: "", status: 1 });
  expect(err).toContain("No answer");
  await using lamp = run("devices/device.ts", "lamp-9");
  await lamp.until(/^State: \{"on":false,"brightness":50\}$/m);
  expect((await ask("send", "lamp-9", "off")).out).toBe('lamp-9: {"on":false,"brightness":50}\n');
});
