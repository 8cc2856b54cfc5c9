import { expect, test } from "bun:test";
import { run } from "../../../src/cli/config.ts";
import { UsageError } from "../../../src/cli/help.ts";
import { run as runProgram } from "../../../src/cli/run.ts";
import { recordedIo } from "../../harness/cli-io.ts";

test("config check accepts a valid configuration", async () => {
  const io = recordedIo({ TAGCAST_PORT: "9000" });
  expect(await run(["check"], io)).toBe(0);
  expect(io.outLines).toEqual(["The configuration is valid."]);
});

test("config check tells every problem on standard error and exits with 2", async () => {
  const io = recordedIo({ TAGCAST_PORT: "x" });
  expect(await runProgram(["config", "check", "--host", "0.0.0.0", "--bogus"], io)).toBe(2);
  expect(io.outLines).toEqual([]);
  expect(io.errLines.join("\n").split("\n")).toEqual([
    "tagcast config: 3 problems in the configuration:",
    "  --bogus: unknown flag",
    '  port (TAGCAST_PORT): expected an integer from 0 to 65535, got "x"',
    expect.stringMatching(/^ {2}host \(--host\): "0\.0\.0\.0" can be reached from other machines/),
  ]);
});

test("config check --json tells them as one object, also with status 2", async () => {
  const io = recordedIo({ TAGCAST_ADMIN_TOKEN: "too-short-secret".slice(1) });
  expect(await run(["check", "--json", "--port=x"], io)).toBe(2);
  const { valid, problems } = JSON.parse(io.outLines.join("\n"));
  expect(valid).toBe(false);
  expect(problems.map(({ key }: { key: string }) => key)).toEqual(["port", "admin-token"]);
  expect(io.outLines.join("\n")).not.toContain("oo-short-secret");
});

test("config show prints values with their sources, and no secret", async () => {
  const io = recordedIo({ TAGCAST_ADMIN_TOKEN: "sixteen-or-more!" });
  expect(await run(["show", "--log-level", "debug"], io)).toBe(0);
  const text = io.outLines.join("\n");
  expect(text).toMatch(/^log-level +debug +--log-level$/m);
  expect(text).toMatch(/^admin-token +\(hidden\) +TAGCAST_ADMIN_TOKEN$/m);
  expect(text).not.toContain("sixteen");
});

test("config show --json prints one object", async () => {
  const io = recordedIo();
  expect(await run(["show", "--port", "1", "--json"], io)).toBe(0);
  expect(JSON.parse(io.outLines.join("\n")).options["port"]).toEqual({ value: 1, source: "--port" });
});

test("config reads the file that --config names", async () => {
  const path = `${process.env["TMPDIR"] ?? "/tmp"}/tagcast-config-${crypto.randomUUID()}.toml`;
  await Bun.write(path, 'log-level = "warn"\n');
  const io = recordedIo();
  expect(await run(["check", "--config", path], io)).toBe(0);
  expect(io.outLines).toEqual([`The configuration is valid (${path}).`]);
  await Bun.file(path).delete();
  expect(await runProgram(["config", "check", "--config", path], io)).toBe(2);
  expect(io.errLines.join("\n")).toContain("no such file");
});

test("config asks for check or show, and guesses which was meant", async () => {
  expect(run([], recordedIo())).rejects.toThrow(new UsageError("say check or show"));
  expect(run(["shwo"], recordedIo())).rejects.toThrow('unknown command "shwo", did you mean "show"?');
  expect(run(["toString"], recordedIo())).rejects.toThrow('unknown command "toString"');
});

// `check` approved what `serve` then refused.
test("config check reads the token file as serve would", async () => {
  const io = recordedIo();
  const path = Bun.fileURLToPath(new URL("../../../package.json", import.meta.url));
  expect(await runProgram(["config", "check", "--tokens", path], io)).toBe(2);
  expect(io.errLines.join("\n")).toContain(`tokens (--tokens): Cannot use the token file "${path}"`);
  expect(await run(["check", "--tokens", "there-is-none.json"], recordedIo())).toBe(0);
});
