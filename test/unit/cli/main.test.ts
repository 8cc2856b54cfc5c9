import { describe, expect, test } from "bun:test";
import manifest from "../../../package.json" with { type: "json" };
import type { Command } from "../../../src/cli/commands.ts";
import { UsageError } from "../../../src/cli/help.ts";
import { run } from "../../../src/cli/run.ts";
import { ConfigError } from "../../../src/config/problems.ts";
import { recordedIo } from "../../harness/cli-io.ts";

const root = new URL("../../../", import.meta.url).pathname;

/** A table with one command, `act`, that does what `action` says. */
function table(action: (argv: readonly string[]) => Promise<number>): Command[] {
  return [{ name: "act", summary: "Acts.", load: async () => ({ run: action }) }];
}

describe("run()", () => {
  test("calls the command with the arguments behind its name and answers its status", async () => {
    const seen: (readonly string[])[] = [];
    const commands = table(async (argv) => (seen.push(argv), 7));
    expect(await run(["act", "a", "--b"], recordedIo(), commands)).toBe(7);
    expect(seen).toEqual([["a", "--b"]]);
  });

  test("without a command prints the overview on standard error and answers 2", async () => {
    const io = recordedIo();
    expect(await run([], io)).toBe(2);
    expect(io.outLines).toEqual([]);
    expect(io.errLines.join("\n")).toStartWith("Usage: tagcast <command>");
  });

  test.each(["help", "--help", "-h"])("%s prints the overview on standard output and answers 0", async (word) => {
    const io = recordedIo();
    expect(await run([word], io)).toBe(0);
    expect(io.outLines.join("\n")).toStartWith("Usage: tagcast <command>");
  });

  test("--version is the command version", async () => {
    const io = recordedIo();
    expect(await run(["--version"], io)).toBe(0);
    expect(io.outLines.join("")).toStartWith(`tagcast ${manifest.version} `);
  });

  test.each([
    [["sevre"], 'unknown command "sevre", did you mean "serve"?'],
    [["help", "sevre"], 'unknown command "sevre", did you mean "serve"?'],
    [["frobnicate"], 'unknown command "frobnicate"'],
    [["--port"], 'unknown command "--port"'],
  ])("%j is an unknown command", async (argv, message) => {
    const io = recordedIo();
    expect(await run(argv, io)).toBe(2);
    expect(io.errLines[0]).toBe(`tagcast: ${message}`);
  });

  test("a configuration or a command line that is wrong answers 2 and says what", async () => {
    const io = recordedIo();
    const problem = { key: "port", origin: "--port", message: "expected a port" };
    expect(
      await run(
        ["act"],
        io,
        table(() => Promise.reject(new ConfigError([problem]))),
      ),
    ).toBe(2);
    expect(
      await run(
        ["act"],
        io,
        table(() => Promise.reject(new UsageError("say what"))),
      ),
    ).toBe(2);
    expect(io.errLines).toEqual([
      "tagcast act: 1 problem in the configuration:\n  port (--port): expected a port",
      "tagcast act: say what",
      "`tagcast act --help` tells its options.",
    ]);
  });

  test("an unforeseen failure answers 1 and shows the stack", async () => {
    const io = recordedIo();
    expect(
      await run(
        ["act"],
        io,
        table(() => Promise.reject(new Error("no luck"))),
      ),
    ).toBe(1);
    expect(io.errLines.join("\n")).toMatch(/^tagcast act: Error: no luck\n +at .*main\.test\.ts/);
  });

  test("a command that ends by its aborted signal answers 130 and says nothing", async () => {
    const io = recordedIo({}, AbortSignal.abort("SIGINT"));
    expect(
      await run(
        ["act"],
        io,
        table(async () => io.signal.throwIfAborted() ?? 0),
      ),
    ).toBe(130);
    expect(io.errLines).toEqual([]);
  });
});

/** Runs a script or the program with pipes; standard error is kept, standard output read by the caller. */
function spawn(argv: readonly string[]) {
  return Bun.spawn([process.execPath, ...argv], { cwd: root, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
}

const loops = "test/unit/cli/fixtures/loops.ts";

/** Reads until `text` has been seen. */
async function readUntil(
  reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> },
  text: string,
): Promise<string> {
  const decoder = new TextDecoder();
  let seen = "";
  while (!seen.includes(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`Ended before ${JSON.stringify(text)}: ${JSON.stringify(seen)}`);
    seen += decoder.decode(value, { stream: true });
  }
  return seen;
}

describe("the program", () => {
  test("prints on standard output and exits with the command's status", async () => {
    const child = spawn(["src/main.ts", "version", "--json"]);
    expect(JSON.parse(await child.stdout.text())).toMatchObject({ version: manifest.version });
    expect([await child.exited, await child.stderr.text()]).toEqual([0, ""]);
  });

  test("exits with 2 and keeps standard output clean when the configuration is wrong", async () => {
    const child = spawn(["src/main.ts", "config", "check", "--port", "x"]);
    expect(await child.stderr.text()).toContain("port (--port)");
    expect([await child.exited, await child.stdout.text()]).toEqual([2, ""]);
  });

  test("ends quietly with 0 when the reader of its output goes away", async () => {
    const child = spawn([loops, "write"]);
    const reader = child.stdout.getReader();
    await readUntil(reader, "line 1\n");
    await reader.cancel();
    expect([await child.exited, await child.stderr.text()]).toEqual([0, ""]);
  });

  test("loses nothing of a long output to a slow reader, and of its input", async () => {
    const child = spawn([loops, "copy"]);
    const input = "0123456789abcdef".repeat(65_536);
    await child.stdin.write(input);
    await child.stdin.end();
    expect(await child.stdout.text()).toBe(`${input}\n`);
    expect(await child.exited).toBe(0);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s aborts the command, which ends as it likes", async (signal) => {
    const child = spawn([loops, "wait"]);
    await readUntil(child.stdout.getReader(), "waiting\n");
    child.kill(signal);
    expect([await child.exited, await child.stderr.text()]).toEqual([5, `aborted by ${signal}\n`]);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("a second %s ends it at once with %d", async (signal, code) => {
    const child = spawn([loops, "linger"]);
    await readUntil(child.stdout.getReader(), "waiting\n");
    child.kill(signal);
    await readUntil(child.stderr.getReader(), `aborted by ${signal}\n`);
    const pressing = setInterval(() => child.kill(signal), 20);
    expect(await child.exited).toBe(code);
    clearInterval(pressing);
  });

  // One Ctrl-C reaches a program under `bun start` twice: from the terminal and from the script runner.
  test("the same signal twice at once counts as one", async () => {
    const child = spawn([loops, "wait"]);
    await readUntil(child.stdout.getReader(), "waiting\n");
    process.kill(child.pid, "SIGSTOP");
    child.kill("SIGINT");
    child.kill("SIGTERM");
    process.kill(child.pid, "SIGCONT");
    expect(await child.exited).toBe(5);
  });

  test("says so and exits with 1 when its output cannot be written", async () => {
    const full = Bun.file("/dev/full");
    const child = Bun.spawn([process.execPath, loops, "write"], { cwd: root, stdout: full, stderr: "pipe" });
    expect(await child.stderr.text()).toMatch(/^tagcast: cannot write to standard output: .*ENOSPC/);
    expect(await child.exited).toBe(1);
  });
});
