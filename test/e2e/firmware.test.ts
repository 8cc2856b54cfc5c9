/** examples/firmware against real servers: over a bad network, over restarts, through TLS, and many at once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { op } from "../../src/wire/messages.ts";
import { Authority } from "../harness/certificates.ts";
import { within } from "../harness/deadline.ts";
import { clientFolder, compile, type Line, LineProgram, testFolder, warnings } from "../harness/firmware.ts";
import { Proxy } from "../harness/proxy.ts";
import { adminToken, scratchDirectory, startServer } from "../harness/server.ts";
import { root } from "../harness/source-tree.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 1000 }
`;
const scratch = scratchDirectory();
const probeBinary = join(scratch.path, "probe");
const compilingMs = 90_000;
/** For what waits for a reconnect on a busy machine. */
const patientMs = 15_000;

/** Runs a command to its end. */
async function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  const { PATH = "", HOME = "" } = process.env;
  await using child = Bun.spawn([...command], { env: { PATH, HOME, ...env }, stdout: "pipe", stderr: "pipe" });
  const [status, out, err] = await within(
    Promise.all([child.exited, child.stdout.text(), child.stderr.text()]),
    command.join(" "),
    compilingMs,
  );
  if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}: ${out}${err}`);
}

beforeAll(async () => {
  const client = ["tagcast", "posix"].map((name) => join(clientFolder, `${name}.c`));
  await compile({ sources: [join(testFolder, "probe.c"), ...client], out: probeBinary });
  // As the README says to build them; the Makefile has the warnings that the client is free of.
  await run(["make", "-C", clientFolder, `BUILD=${scratch.path}`, "all", "sensor-tls"]);
}, compilingMs);
afterAll(() => scratch[Symbol.dispose]());

test("the Makefile compiles with the warnings that the tests compile with", async () => {
  expect(await Bun.file(join(clientFolder, "Makefile")).text()).toContain(`WARNINGS = ${warnings.join(" ")}\n`);
});

const pythonModule = join(root, "examples/firmware/micropython");
const python = (folder: string, file: string) => ["/usr/bin/python3", "-B", join(folder, file)];
const programs = {
  C: { probe: [probeBinary], devices: [join(scratch.path, "device")] },
  MicroPython: {
    probe: python(join(root, "test/integration/firmware/micropython"), "probe.py"),
    devices: python(pythonModule, "device.py"),
  },
} as const;

describe.each(["C", "MicroPython"] as const)("the %s client", (language) => {
  const start = (command: readonly string[], ...args: readonly string[]) =>
    new LineProgram([...command, ...args], { TAGCAST_MODULE: pythonModule });

  interface ProbeOptions {
    readonly port: number;
    readonly token?: string;
    readonly options?: readonly string[];
  }

  async function startProbe({ port, token = adminToken, options = [] }: ProbeOptions): Promise<LineProgram> {
    const probe = start(programs[language].probe, `ws://127.0.0.1:${port}/ws`, token, ...options);
    expect(await probe.answer()).toBe(0);
    return probe;
  }

  const offsets = (events: readonly Line[]) =>
    events.filter(({ event }) => event === "message").map(({ offset }) => offset);
  const count = (length: number, first = 1) => Array.from({ length }, (_, i) => first + i);

  test("it subscribes, publishes with and without acknowledgement, receives, pings and leaves", async () => {
    await using server = await startServer({ toml });
    await using reader = await server.connect();
    await reader.ok(op.subscribe, "#");
    for (const options of [[], ["message=1", "name=pump-7", "ping=30"]]) {
      await using probe = await startProbe({ port: server.running.port, options });
      await probe.command("subscribe log/a");
      await probe.command("subscribe live/+/x");
      await probe.command("start");
      await probe.next("subscribed");
      await probe.next("subscribed");
      const ref = await probe.command("publish log/a 93010203");
      expect(await probe.next("acknowledged")).toMatchObject({ ref, repeated: false, tag: "6c6f672f61" });
      await probe.untilHolds(() => offsets(probe.events).length === 1, "its own message");
      await probe.command("send live/7/x a3616263");
      expect(await probe.next("message")).toMatchObject({ pattern: "live/+/x", payload: "a3616263", offset: 0 });
      const ping = await probe.command("ping");
      expect(await probe.next("pong")).toMatchObject({ ref: ping });
      await probe.command("unsubscribe log/a");
      await probe.command("publish log/a c0");
      await probe.next("acknowledged");
      await probe.command("stop");
      expect(await probe.next("stopped")).toMatchObject({ code: 1000 });
      expect(probe.events.filter(({ event }) => event === "message")).toHaveLength(2);
    }
    expect(await reader.payloads(6)).toEqual([[1, 2, 3], "abc", null, [1, 2, 3], "abc", null]);
  });

  test("what was published while it was away comes once and in order, however often the network breaks", async () => {
    await using server = await startServer({ toml });
    using proxy = new Proxy(server.running.port);
    await using writer = await server.connect();
    await using probe = await startProbe({ port: proxy.port, options: ["speed=4"] });
    await probe.command("subscribe log/a");
    await probe.command("start");
    await probe.next("subscribed");
    let published = 0;
    for (let round = 0; round < 4; round++) {
      proxy.cut();
      for (let i = 0; i < 25; i++) await writer.ok(op.publish, "log/a", published++);
      proxy.mend();
      expect(await probe.next("subscribed", patientMs)).toMatchObject({ whole: true });
      for (let i = 0; i < 25; i++) await writer.ok(op.publish, "log/a", published++);
    }
    await probe.untilHolds(() => offsets(probe.events).length >= published, "all messages", patientMs);
    expect(offsets(probe.events)).toEqual(count(published));
    expect(probe.events.some(({ event }) => event === "gap")).toBe(false);
  }, 40_000);

  test("a position of an earlier run continues where that stood", async () => {
    await using server = await startServer({ toml });
    await using writer = await server.connect();
    let position: readonly unknown[] = [];
    for (let i = 0; i < 5; i++) ({ position } = (await writer.ok(op.publish, "log/a", i)) as { position: unknown[] });
    await using probe = await startProbe({ port: server.running.port });
    await probe.command(`subscribe log/a ${position[0] as number} 2`);
    await probe.command("start");
    expect(await probe.next("subscribed")).toMatchObject({ whole: true });
    await probe.untilHolds(() => offsets(probe.events).length === 3, "three messages");
    expect(offsets(probe.events)).toEqual([3, 4, 5]);
  });

  test("over a restart it comes back by itself and is told that the log is another; a publish waits for it", async () => {
    const first = await startServer({ toml });
    const { port } = first.running;
    await using probe = await startProbe({ port, options: ["speed=4"] });
    await probe.command("subscribe log/a");
    await probe.command("start");
    await probe.command("publish log/a 01");
    const { epoch } = await probe.next("message");
    await first.stop();
    // The server said when to come again; after that it is the client who decides.
    expect((await probe.next("disconnected")).code).toBe(3000);
    await probe.command("publish log/a 02");
    await using second = await startServer({ toml, flags: ["--port", String(port)] });
    const gap = await probe.next("gap", patientMs);
    expect(gap.code).toBe(203);
    expect(gap.epoch).not.toBe(epoch);
    expect(await probe.next("acknowledged")).toMatchObject({ offset: 1, epoch: gap.epoch, payload: "02" });
    expect(probe.events.filter(({ event, payload }) => event === "message" && payload === "02")).toHaveLength(1);
    await second.stop();
  }, 40_000);

  test("what the log no longer holds is told as a gap, and then comes what it holds", async () => {
    await using server = await startServer({ toml: toml.replace("1000", "10") });
    using proxy = new Proxy(server.running.port);
    await using writer = await server.connect();
    await using probe = await startProbe({ port: proxy.port });
    await probe.command("subscribe log/a");
    await probe.command("start");
    await probe.next("subscribed");
    proxy.cut();
    for (let i = 0; i < 3000; i++) writer.send([op.publish, 0, "log/a", i]);
    await writer.ok(op.publish, "log/a", "last");
    proxy.mend();
    expect(await probe.next("subscribed", patientMs)).toMatchObject({ whole: false });
    const gap = await probe.next("gap");
    expect(gap.code).toBe(202);
    await probe.untilHolds(() => offsets(probe.events).at(-1) === 3001, "the last message");
    expect(offsets(probe.events)).toEqual(count(3001 - gap.offset, gap.offset + 1));
  }, 40_000);

  test("16 KiB beyond its buffer are skipped and told, and it goes on behind them", async () => {
    await using server = await startServer({ toml });
    await using writer = await server.connect();
    await using probe = await startProbe({ port: server.running.port, options: ["receive=256"] });
    await probe.command("subscribe log/a");
    await probe.command("start");
    await probe.next("subscribed");
    for (const payload of ["before", new Uint8Array(16_384), "after"]) await writer.ok(op.publish, "log/a", payload);
    expect(await probe.next("message")).toMatchObject({ offset: 1 });
    expect(await probe.next("skipped")).toMatchObject({ offset: 2, size: 16_387 });
    expect(await probe.next("message")).toMatchObject({
      offset: 3,
      payload: Buffer.from("\xa5after", "latin1").toString("hex"),
    });
  });

  test("a refused token stops it, in the header and in op 1", async () => {
    await using server = await startServer({ toml });
    for (const [options, code] of [
      [[], 401],
      [["message=1"], 3500],
    ] as const) {
      await using probe = await startProbe({ port: server.running.port, token: "no-token-of-this-server", options });
      await probe.command("start");
      expect(await probe.next("stopped")).toMatchObject({ code });
    }
  });

  test("many devices agree with the log about what was acknowledged, over a network that breaks", async () => {
    await using server = await startServer({ toml });
    using proxy = new Proxy(server.running.port);
    const devices = 50;
    const url = `ws://127.0.0.1:${proxy.port}/ws`;
    await using program = start(programs[language].devices, url, adminToken, "log/d", String(devices), "4");
    const acknowledged = () => program.events.filter(({ event }) => event === "acknowledged");
    for (const least of [200, 300, 400]) {
      await program.untilHolds(() => acknowledged().length >= least, `${least} acknowledged`, patientMs);
      proxy.drop();
    }
    program.signal("SIGTERM");
    expect(await within(program.exited, "the end of the devices", patientMs)).toBe(0);
    const ids = (kind: string) =>
      program.events.flatMap((line) => (line.event === kind ? [(line as Line & { id: string }).id] : [])).sort();
    expect(ids("acknowledged")).toEqual(ids("published"));

    await using reader = await server.connect();
    const logged: string[] = [];
    for (let i = 0; i < devices; i++) {
      const { messages } = (await reader.ok(op.history, `log/d/${i}`, { limit: 1000 })) as {
        messages: readonly (readonly [number, { id: string; n: number }])[];
      };
      expect(messages.map(([, { n }]) => n)).toEqual(count(messages.length, 0));
      logged.push(...messages.map(([, { id }]) => id));
    }
    expect(logged.sort()).toEqual(ids("published"));
  }, 60_000);
});

/** What a program says up to some text. */
async function said(program: Bun.Subprocess<"ignore", "pipe", "pipe">, what: string): Promise<string> {
  const decoder = new TextDecoder();
  const reader = program.stdout.getReader();
  let text = "";
  while (!text.includes(what)) {
    const { done, value } = await within(reader.read(), () => `${what}; ${text}`, patientMs);
    if (done) throw new Error(`Ended without ${what}: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text;
}

test("the sensor speaks TLS to a server with a certificate that it trusts, and to no other", async () => {
  const authority = await Authority.create(scratch.path);
  const stranger = await Authority.create(scratch.path, "stranger");
  const { cert, key } = await authority.issue("server", ["localhost"]);
  await using server = await startServer({ toml, flags: ["--tls-cert", cert, "--tls-key", key] });
  const { port } = server.running;
  const sensor = (ca: string) =>
    Bun.spawn([join(scratch.path, "sensor-tls"), "log/7"], {
      env: { TAGCAST_URL: `wss://localhost:${port}/ws`, TAGCAST_TOKEN: adminToken, TAGCAST_CA: ca },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  await using trusting = sensor(authority.ca);
  await said(trusting, "connected\nacknowledged at 1\n");
  const published = await fetch(`https://localhost:${port}/v1/publish`, {
    method: "POST",
    headers: { Authorization: `Bearer ${adminToken}`, "Content-Type": "application/json" },
    body: JSON.stringify({ tag: "log/7/interval", payload: 2 }),
    tls: { ca: await authority.text() },
  });
  expect(published.status).toBe(200);
  await said(trusting, "a reading every 2000 ms\n");
  trusting.kill("SIGINT");
  expect(await within(trusting.exited, "the end of the sensor")).toBe(0);

  await using wary = sensor(stranger.ca);
  expect(await said(wary, "disconnected by 1006")).toStartWith("disconnected");
}, 40_000);

test("the MicroPython sensor speaks TLS to a server with a certificate that it trusts, and to no other", async () => {
  const authority = await Authority.create(scratch.path, "python");
  const stranger = await Authority.create(scratch.path, "strange");
  const { cert, key } = await authority.issue("python-server", ["localhost"]);
  await using server = await startServer({ toml, flags: ["--tls-cert", cert, "--tls-key", key] });
  const sensor = (ca: string) =>
    Bun.spawn([...python(pythonModule, "sensor.py")], {
      env: {
        PYTHONUNBUFFERED: "1",
        TAGCAST_URL: `wss://localhost:${server.running.port}/ws`,
        TAGCAST_TOKEN: adminToken,
        TAGCAST_CA: ca,
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  await using trusting = sensor(authority.ca);
  await said(trusting, "acknowledged(");
  await using wary = sensor(stranger.ca);
  expect(await said(wary, "code=1006")).not.toContain("active");
}, 40_000);
