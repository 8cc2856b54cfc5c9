/** examples/python: the Python client's own tests, and its two programs, against a server process. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { within } from "../harness/deadline.ts";
import { adminToken, scratchDirectory, type ServerProcess, startProcess } from "../harness/server.ts";
import { root } from "../harness/source-tree.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 1000 }
retain = false
presence = true
`;
/** For some thirty tests on a machine that does other things as well. */
const limitMs = 100_000;

let server: ServerProcess;

beforeAll(async () => {
  using scratch = scratchDirectory();
  const config = join(scratch.path, "tagcast.toml");
  writeFileSync(config, toml);
  server = await startProcess({ args: ["--config", config, "--admin-token", adminToken] });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Starts Debian's Python in the example's folder. */
function python(...args: readonly string[]) {
  const { PATH = "", HOME = "" } = process.env;
  return Bun.spawn(["/usr/bin/python3", "-B", ...args], {
    cwd: join(root, "examples/python"),
    env: { PATH, HOME, TAGCAST_URL: server.url, TAGCAST_TOKEN: adminToken },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** The first line that a program prints. */
async function firstLine(program: ReturnType<typeof python>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of program.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
  }
  throw new Error(`Ended without a line: ${text}${await program.stderr.text()}`);
}

test(
  "the tests of the Python client pass",
  async () => {
    await using tests = python("-m", "unittest", "-v");
    // unittest writes to standard error.
    const ended = Promise.all([tests.exited, tests.stderr.text()]);
    const [status, text] = await within(ended, "the end of Python", limitMs - 10_000);
    if (status !== 0)
      throw new Error(`Python ended with ${status}:\n${text}\nThe server: ${server.stderr.slice(-4000)}`);
    expect(Number(/^Ran (\d+) tests in /m.exec(text)?.[1])).toBeGreaterThan(30);
  },
  limitMs,
);

test("watch.py prints what sensor.py publishes", async () => {
  await using watch = python("watch.py", "log/#");
  await using sensor = python("sensor.py", "log/this/load");
  expect(await within(firstLine(watch), "a line of watch.py", 15_000)).toMatch(/^log\/this\/load \d+\.\d+$/);
  for (const program of [watch, sensor]) {
    program.kill("SIGINT");
    expect(await within(program.exited, "the end of the program")).toBe(0);
  }
});
