import { describe, expect, test } from "bun:test";
import { run } from "../../../src/cli/serve.ts";
import { ConfigError } from "../../../src/config/problems.ts";
import { recordedIo } from "../../harness/cli-io.ts";
import { within } from "../../harness/deadline.ts";
import { WireClient } from "../../harness/wire-client.ts";

/** Runs `serve` until `use` is done with what it printed; its exit status. */
async function serving(argv: readonly string[], use: (text: string) => Promise<void>, env = {}): Promise<number> {
  const stop = new AbortController();
  const io = recordedIo(env, stop.signal);
  const printed = Promise.withResolvers<void>();
  const out = (text: string) => {
    io.outLines.push(text);
    printed.resolve();
  };
  const done = run(["--log-level", "silent", ...argv], { ...io, out });
  try {
    await within(Promise.race([printed.promise, done]), "the welcome");
    await use(io.outLines.join("\n"));
  } finally {
    stop.abort("SIGTERM");
  }
  return await within(done, "the end");
}

const urlOf = (text: string) => /ws:\/\/\S+/.exec(text)?.[0] ?? "";

describe("serve", () => {
  test("with nothing configured makes a token for this run and says how to use it", async () => {
    const code = await serving(["--port", "0"], async (text) => {
      const url = urlOf(text);
      expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/ws$/);
      const token = /^Admin token of this run: (\S{32})$/m.exec(text)?.[1] ?? "";
      expect(text).toContain(`  export TAGCAST_URL=${url} TAGCAST_TOKEN=${token}\n`);
      await using client = await WireClient.open(url, { token });
      await client.ok(2, "#");
    });
    expect(code).toBe(0);
  });

  test("makes another token each time", async () => {
    const tokens = new Set<string>();
    for (let i = 0; i < 2; i++)
      await serving(["--port", "0"], async (text) => void tokens.add(/run: (\S+)/.exec(text)?.[1] ?? ""));
    expect(tokens.size).toBe(2);
  });

  test("prints no admin token that it was given", async () => {
    const env = { TAGCAST_ADMIN_TOKEN: "it's a secret, really" };
    await serving(
      ["--port", "0"],
      async (text) => {
        expect(text).toContain("tagcast listens on");
        expect(text).not.toContain("secret");
      },
      env,
    );
  });

  test("prints no token where tokens are kept in a file", async () => {
    await serving(["--port", "0", "--tokens", "/nonexistent/tokens.json"], async (text) => {
      expect(text.split("\n")).toHaveLength(1);
      expect(text).toMatch(
        /^tagcast listens on ws:\S+ \(roles: gateway, api; health: http:\/\/127\.0\.0\.1:\d+\/healthz\)$/,
      );
    });
  });

  test("without the role gateway names no WebSocket, and no command that would need one", async () => {
    await serving(["--port", "0", "--role", "api"], async (text) => {
      expect(text).toMatch(/^tagcast listens on http:\S+ \(roles: api; health: http:\S+\/healthz\)\nAdmin token .*\n$/);
    });
  });

  test.each([
    ["0.0.0.0", "127.0.0.1"],
    ["::", "[::1]"],
    ["::1", "[::1]"],
    ["localhost", "localhost"],
  ])("on %s names an address that clients of this machine reach, %s", async (host, named) => {
    await serving(["--port", "0", "--host", host, "--admin-token", "x".repeat(16)], async (text) => {
      expect(new URL(urlOf(text)).hostname).toBe(named);
      const health = urlOf(text).replace(/^ws/, "http").replace(/ws$/, "healthz");
      expect(text).toContain(`; health: ${health})`);
      expect((await fetch(health)).status).toBe(200);
    });
  });

  test("leaves what is wrong with the configuration to its caller", async () => {
    const outcome = await run(["--port", "x"], recordedIo()).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(ConfigError);
  });

  test("--help lists the flags", async () => {
    const io = recordedIo();
    expect(await run(["--help"], io)).toBe(0);
    expect(io.outLines.join("\n")).toContain("--admin-token");
  });

  test.each([
    [
      "an address that is not of this machine",
      ["--host", "192.0.2.77"],
      /192\.0\.2\.77 is not an address of this machine/,
    ],
    [
      "a name that nobody knows",
      ["--host", "no-such-host.invalid"],
      /no-such-host\.invalid is not an address of this machine/,
    ],
    [
      "more connections than descriptors",
      ["--connections-max", "10000000"],
      /connections-max is 10000000, but \d+ file descriptors/,
    ],
  ])("ends with 1 and says why for %s", async (_, argv, message) => {
    const io = recordedIo();
    expect(await run([...argv, "--port", "0", "--admin-token", "x".repeat(16), "--log-level", "silent"], io)).toBe(1);
    expect(io.errLines.join("\n")).toMatch(message);
    expect(io.outLines).toEqual([]);
  });
});
