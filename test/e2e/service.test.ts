/** The server under a service manager: what it is told, and the unit of systemd in examples/systemd. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Program, scratchDirectory, startProcess } from "../harness/server.ts";
import { root } from "../harness/source-tree.ts";

/** Prints each datagram that comes to a socket as a line of JSON. Bun has no such sockets. */
const listener = `
import json, socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
while True: print(json.dumps(s.recv(4096).decode()), flush=True)
`;

async function listen(name: string): Promise<Program> {
  const program = new Program({ args: [], wrapper: () => ["/usr/bin/python3", "-c", listener, name] });
  await program.until(/^bound$/m);
  return program;
}

const forms: readonly (readonly [string, (folder: string) => string])[] = [
  ["a path", (folder) => join(folder, "notify")],
  ["an abstract name", (folder) => `@${folder}`],
];

describe.each(forms)("where the manager's socket has %s", (_form, nameIn) => {
  test("it hears that the server is ready, alive, and ending", async () => {
    using scratch = scratchDirectory();
    const name = nameIn(scratch.path);
    await using manager = await listen(name);
    await using server = await startProcess({ env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "50000" } });
    const [, port] = await manager.until(/^"READY=1\\nSTATUS=listens on 127\.0\.0\.1, port (\d+)"$/m);
    expect(port).toBe(new URL(server.url).port);
    await manager.until(/(?:^"WATCHDOG=1"$\n){3}/m);
    server.signal("SIGHUP");
    await manager.until(/^"RELOADING=1"$[^]*^"READY=1"$/m);
    await using client = await server.connect();
    server.signal("SIGTERM");
    await manager.until(/^"STOPPING=1\\nSTATUS=takes leave of 1 connections"$/m);
    await client.ended();
    expect(await server.end()).toBe(0);
  });
});

test("a server that another process is watched for says nothing of being alive", async () => {
  using scratch = scratchDirectory();
  const name = join(scratch.path, "notify");
  await using manager = await listen(name);
  await using server = await startProcess({ env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" } });
  await using client = await server.connect();
  await client.close();
  server.signal("SIGTERM");
  await manager.until(/STOPPING/);
  expect(manager.stdout).not.toContain("WATCHDOG");
});

test.each(["/no/such/folder/notify", "not-a-path"])(
  "a manager that cannot be told anything, at %s, is a warning, and the server serves",
  async (name) => {
    await using server = await startProcess({ env: { NOTIFY_SOCKET: name } });
    await server.until(/"message":"service manager"/, "stderr");
    expect((await fetch(`${server.http}/readyz`)).status).toBe(200);
  },
);

describe("the unit of systemd", () => {
  /** With the program where this machine has it. */
  async function unit(folder: string): Promise<string> {
    const text = await Bun.file(join(root, "examples/systemd/tagcast.service")).text();
    const path = join(folder, "tagcast.service");
    const started = `${process.execPath} ${join(root, "src/main.ts")} serve`;
    await Bun.write(path, text.replace("/usr/local/bin/tagcast serve", started));
    return path;
  }

  async function analyze(...args: readonly string[]): Promise<Program> {
    const program = new Program({ args: [], wrapper: () => ["systemd-analyze", ...args] });
    await program.end();
    return program;
  }

  test("is accepted without a word", async () => {
    using scratch = scratchDirectory();
    const program = await analyze("verify", "--man=no", await unit(scratch.path));
    expect([await program.exited, program.stderr]).toEqual([0, ""]);
    // What it would not accept is told.
    const path = join(scratch.path, "broken.service");
    await Bun.write(path, "[Service]\nType=notify\nExecStart=/bin/true\nProtectSystems=yes\n");
    expect((await analyze("verify", "--man=no", path)).stderr).toContain("ProtectSystems");
  });

  test("leaves an attacker little: exposure at most 1.5 of 10", async () => {
    using scratch = scratchDirectory();
    const program = await analyze("security", "--offline=true", "--threshold=15", await unit(scratch.path));
    expect([await program.exited, program.stdout]).toEqual([0, expect.stringContaining("Overall exposure level")]);
  });
});
