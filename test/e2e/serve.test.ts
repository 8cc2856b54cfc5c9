/** `tagcast serve` as a process: what it prints, how it refuses, how it ends. */
import { describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { op } from "../../src/wire/messages.ts";
import { within } from "../harness/deadline.ts";
import { RawSocket } from "../harness/raw-socket.ts";
import { Program, scratchDirectory, startProcess } from "../harness/server.ts";
import { WireClient } from "../harness/wire-client.ts";

const json = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Runs `serve` to its end, which is to come by itself. */
async function refused(args: readonly string[], options: Partial<ConstructorParameters<typeof Program>[0]> = {}) {
  await using program = new Program({ ...options, args: ["serve", ...args] });
  const code = await program.end();
  return { code, stdout: program.stdout, stderr: program.stderr };
}

describe("serve", () => {
  test("with nothing configured listens on this machine alone and prints lines that work when copied", async () => {
    await using server = await startProcess();
    expect(server.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/ws$/);
    expect((await fetch(`${server.http}/readyz`)).status).toBe(200);
    await using client = await server.connect();
    await client.ok(op.subscribe, "hello/#");
    const lines = server.stdout.split("\n").filter((line) => line.startsWith("  "));
    expect(lines).toHaveLength(3);
    const { PATH = "", HOME = "" } = process.env;
    const shell = Bun.spawn(["sh", "-c", `${lines.join("\n")}\nwait\n`], {
      cwd: tmpdir(),
      env: { PATH, HOME },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await within(Promise.all([shell.stdout.text(), shell.stderr.text()]), "the lines", 10_000);
    expect([out, err, await shell.exited]).toEqual([expect.stringContaining("It works"), expect.any(String), 0]);
    expect(await client.messages(1)).toMatchObject([[18, "hello/world", null, "It works", null, "hello/#"]]);
  }, 15_000);

  test("logs one JSON object a line to standard error, without secrets and payloads", async () => {
    await using server = await startProcess();
    await using client = await server.connect();
    await client.ok(op.publish, "a", "payload-that-nobody-logs");
    await client.close();
    await server.until(/session closed/, "stderr");
    const lines = json(server.stderr);
    expect(lines.map((line) => line["message"])).toEqual(["audit", "listening", "session opened", "session closed"]);
    expect(server.stderr).not.toContain(server.token);
    expect(server.stderr).not.toContain("payload-that-nobody-logs");
  });

  test("says which port is in use, and ends with 1", async () => {
    await using server = await startProcess();
    const { port } = new URL(server.url);
    const { code, stdout, stderr } = await refused(["--port", port, "--log-level", "silent"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(`tagcast serve: port ${port} on 127.0.0.1 is in use`);
    expect(stderr).not.toContain("    at ");
  });

  test("says what is wrong with a key, and ends with 2", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "tagcast.toml");
    await Bun.write(path, '[[keys]]\nalgorithm = "ES256"\npublic-key = "missing.pem"\n');
    const missing = await refused(["--config", path]);
    expect([missing.code, missing.stdout]).toEqual([2, ""]);
    expect(missing.stderr).toContain("keys #1 public-key");
    expect(missing.stderr).toContain("missing.pem");
    await Bun.write(path, '[[keys]]\nalgorithm = "HS256"\nsecret = "hunter2"\n');
    const short = await refused(["--config", path]);
    expect(short.code).toBe(2);
    expect(short.stderr).toContain("shorter than 32 bytes");
    expect(short.stderr).not.toContain("hunter2");
  });

  test("says what is wrong with the token file, and ends with 1", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "tokens.json");
    await Bun.write(path, "{}");
    const { code, stdout, stderr } = await refused(["--port", "0", "--tokens", path, "--log-level", "silent"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(path);
    expect(stderr).not.toContain("    at ");
  });

  test("says that too few file descriptors are allowed, and ends with 1", async () => {
    const { code, stdout, stderr } = await refused(["--port", "0"], {
      wrapper: (command) => ["sh", "-c", 'ulimit -n 100; exec "$@"', "sh", ...command],
    });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("only 100 file descriptors are allowed");
    expect(stderr).toContain("ulimit -n");
  });

  test("reports all problems of the configuration at once, and ends with 2", async () => {
    const { code, stdout, stderr } = await refused(["--port", "x", "--ping-interval", "1ms", "--prot", "1"], {
      env: { TAGCAST_PAYLOAD_MAX: "lots" },
    });
    expect([code, stdout]).toEqual([2, ""]);
    for (const named of ["--port", "--ping-interval", "--prot", "TAGCAST_PAYLOAD_MAX"]) expect(stderr).toContain(named);
    expect(stderr).toContain("4 problems");
  });

  test.each(["0.0.0.0", "::", "192.0.2.1"])("refuses to listen on %s without a credential", async (host) => {
    const { code, stderr } = await refused(["--port", "0", "--host", host]);
    expect(code).toBe(2);
    expect(stderr).toContain("host (--host)");
  });

  test("listens on all addresses with one", async () => {
    await using server = await startProcess({ args: ["--host", "0.0.0.0", "--admin-token", "0123456789abcdef"] });
    await using client = await server.connect();
    expect(await client.ok(op.ping)).toEqual({});
  });
});

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  test("tells every client when to come back, closes, and ends the process with 0", async () => {
    await using server = await startProcess();
    await using raw = await RawSocket.open(server.url, { reads: false });
    const clients = [
      await server.connect(),
      await server.connect({ lane: "json" }),
      await WireClient.open(server.url),
      ...(await Promise.all(Array.from({ length: 20 }, () => server.connect()))),
    ];
    server.signal(signal);
    for (const client of clients) {
      const { code, reason, farewell } = await client.ended();
      expect([code, reason]).toEqual([3000, "The server is shutting down"]);
      expect(farewell).toEqual([22, 3000, "The server is shutting down", expect.any(Number)]);
    }
    expect(await server.end(2000)).toBe(0);
    expect(raw.frames).toEqual([]);
    const messages = json(server.stderr).map((line) => line["message"]);
    expect([messages[0], messages[1], messages.at(-1)]).toEqual(["audit", "listening", "stopped"]);
    expect(json(server.stderr).find((line) => line["message"] === "shutting down")).toMatchObject({
      signal,
      connections: 24,
    });
  });
});

describe("the end of the process", () => {
  test("is told to publishers in the midst of publishing, and acknowledged messages are no loss", async () => {
    await using server = await startProcess();
    const clients = await Promise.all(Array.from({ length: 8 }, () => server.connect()));
    const payload = new Uint8Array(4000);
    for (const client of clients) {
      const flood = () => {
        if (client.socket.readyState !== WebSocket.OPEN) return;
        if (client.socket.bufferedAmount < 1_000_000)
          for (let i = 0; i < 100; i++) client.send([op.publish, 0, "a", payload]);
        setImmediate(flood);
      };
      flood();
    }
    await clients[0]!.ok(op.ping);
    server.signal("SIGTERM");
    for (const client of clients) expect((await client.ended()).farewell?.[1]).toBe(3000);
    expect(await server.end()).toBe(0);
  });

  test("comes in bounded time also where a client does not read, and at once at the second signal", async () => {
    for (const [timeout, second] of [
      ["500ms", false],
      ["60s", true],
    ] as const) {
      await using server = await startProcess({ args: ["--shutdown-timeout", timeout] });
      await using slow = await RawSocket.open(server.url, {
        path: "/ws?tags=flood",
        headers: { Authorization: `Bearer ${server.token}` },
      });
      slow.read(false);
      await using publisher = await server.connect();
      for (let i = 0; i < 60; i++) await publisher.ok(op.publish, "flood", new Uint8Array(200_000));
      server.signal("SIGTERM");
      expect((await publisher.ended()).farewell?.[1]).toBe(3000);
      // Two within a quarter of a second count as one: a script runner may pass on what the terminal sent as well.
      const pressing = second ? setInterval(() => server.signal("SIGTERM"), 100) : undefined;
      expect(await server.end(2000).finally(() => clearInterval(pressing))).toBe(second ? 143 : 0);
    }
  });
});
