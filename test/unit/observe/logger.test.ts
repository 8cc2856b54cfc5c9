import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createLogger, type LoggerOptions } from "../../../src/observe/logger.ts";

function recorded(format: LoggerOptions["format"], level: LoggerOptions["level"] = "debug") {
  const lines: string[] = [];
  return { lines, log: createLogger({ level, format, destination: { write: (line) => void lines.push(line) } }) };
}

/** What a terminal would act on. */
const control = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u;
const nasty = "a\u001b[31mred\u001b[2J\r\n12:00:00 INFO: forged\u009b0m\u202e\u0007";

describe("json", () => {
  test("a line is one object with level, time, message and the fields", () => {
    const { lines, log } = recorded("json");
    log.warn("slow consumer closed", { session: "s1", tag: "a/b", bufferedBytes: 5 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toEndWith("}\n");
    const { time, ...rest } = JSON.parse(lines[0]!);
    expect(rest).toEqual({
      level: "warn",
      message: "slow consumer closed",
      session: "s1",
      tag: "a/b",
      bufferedBytes: 5,
    });
    expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
  });

  test("fields cannot replace what a line has of its own", () => {
    const { lines, log } = recorded("json");
    log.info("text", { level: "x", time: "y", message: "z" });
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: "info",
      message: "text",
      level_: "x",
      time_: "y",
      message_: "z",
    });
    expect(lines[0]!.match(/"level":/g)).toHaveLength(1);
  });

  test("an error is logged with its cause, and secrets are hidden", () => {
    const { lines, log } = recorded("json");
    log.error("failed", { error: new Error("outer", { cause: new Error("inner") }), token: "s3cret" });
    const line = JSON.parse(lines[0]!);
    expect(line.error).toMatchObject({ name: "Error", message: "outer", cause: { name: "Error", message: "inner" } });
    expect(line.token).toBe("(hidden)");
  });

  test("text from outside keeps its meaning and cannot act on a terminal", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 20 }).map((text) => nasty + text),
        (text) => {
          const { lines, log } = recorded("json");
          log.info("said", { text, [text]: 1 });
          expect(lines[0]!.slice(0, -1)).not.toMatch(control);
          expect(JSON.parse(lines[0]!)).toMatchObject({ text, [text]: 1 });
        },
      ),
    );
  });
});

test.each([
  ["trace", 4],
  ["debug", 4],
  ["info", 3],
  ["warn", 2],
  ["error", 1],
  ["silent", 0],
] as const)("level %s lets %d of four severities through", (level, count) => {
  const { lines, log } = recorded("json", level);
  log.debug("m");
  log.info("m");
  log.warn("m");
  log.error("m");
  expect(lines).toHaveLength(count);
});

describe("pretty", () => {
  test("a line has time, level, message and fields", () => {
    const { lines, log } = recorded("pretty");
    log.info("listening", { port: 8080, name: "x" });
    expect(lines.join("")).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: listening \{"port":8080,"name_":"x"\}\n$/);
  });

  test("an error's frames follow on lines of their own, those of its cause too", () => {
    const { lines, log } = recorded("pretty");
    log.error("failed", { error: new Error("outer", { cause: new TypeError("inner") }) });
    const [head, ...frames] = lines.join("").trimEnd().split("\n");
    expect(head).toMatch(/ERROR: failed \{"error":\{.*"outer".*"cause":\{.*"inner"/);
    expect(frames.length).toBeGreaterThanOrEqual(2);
    for (const frame of frames) expect(frame).toMatch(/^ {6}at .*logger\.test\.ts/);
  });

  test("no control character, escape or newline of a field, its name, or an error reaches the terminal", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 20 }).map((text) => nasty + text),
        (text) => {
          const { lines, log } = recorded("pretty");
          log.info("said", { text, [text]: [text, { [text]: text }], stack: text });
          log.error("failed", { error: Object.assign(new Error(text, { cause: text }), { name: text, [text]: text }) });
          const output = lines.join("");
          expect(output.replaceAll("\n", "")).not.toMatch(control);
          for (const line of output.trimEnd().split("\n"))
            expect(line).toMatch(/^(\[\d\d:\d\d:\d\d\.\d{3}\] (INFO|ERROR): | {6})/);
        },
      ),
    );
  });
});

test("auto is JSON where it does not write to a terminal", () => {
  const { lines, log } = recorded("auto");
  log.info("m");
  expect(JSON.parse(lines[0]!)).toMatchObject({ message: "m" });
});

test("without a destination lines go to standard error at once, and nothing is lost at exit", async () => {
  const script = `
    import { createLogger } from "./src/observe/logger.ts";
    const log = createLogger({ level: "info", format: "auto" });
    for (let i = 0; i < 2000; i++) log.info("line", { i });
    process.exit(0);`;
  const cwd = new URL("../../../", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, "-e", script], { cwd, stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(out).toBe("");
  expect(
    err
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).i),
  ).toEqual(Array.from({ length: 2000 }, (_, i) => i));
});
