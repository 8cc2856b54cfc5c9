import { expect, test } from "bun:test";
import { commandList } from "../../../src/cli/commands.ts";
import { overview, renderHelp, wantsHelp } from "../../../src/cli/help.ts";
import { run } from "../../../src/cli/run.ts";
import { recordedIo } from "../../harness/cli-io.ts";

test("renderHelp() lays out usage, options in two columns, examples and exit status", () => {
  const text = renderHelp({
    usage: ["x <a>", "x <b>"],
    about: "Does x.",
    options: [
      ["--a <value>", "An option."],
      ["--an-option-with-a-very-long-name <value>", "Another."],
    ],
    examples: ["tagcast x 1"],
  });
  expect(text).toStartWith(`Usage: tagcast x <a>
       tagcast x <b>

Does x.

Options:
  --a <value>  An option.
  --an-option-with-a-very-long-name <value>
               Another.
  -h, --help   Show this help.

Examples:
  tagcast x 1

Exit status:
  0 `);
});

test("renderHelp() wraps long texts at 100 columns and loses no word", () => {
  const about = Array.from({ length: 60 }, (_, i) => `word${i}`).join(" ");
  const text = renderHelp({ usage: ["x"], about, options: [["--a", about]] });
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(text.match(/word\d+/g)).toHaveLength(120);
});

test("wantsHelp() sees -h and --help, but not behind --", () => {
  expect([["--help"], ["a", "-h"], ["--json", "--help"]].map(wantsHelp)).toEqual([true, true, true]);
  expect([[], ["help"], ["--", "--help"]].map(wantsHelp)).toEqual([false, false, false]);
});

test("the overview names every command and every exit status", () => {
  const text = overview(commandList);
  for (const { name, summary } of commandList) expect(text).toContain(`  ${name.padEnd(7)}  ${summary}`);
  expect(text.match(/^ {2}(0|1|2|130) /gm)).toHaveLength(4);
});

test.each([["config"], ["version"]])("%s --help and help %s print the same on standard output", async (name) => {
  const [asFlag, asCommand] = [recordedIo(), recordedIo()];
  expect(await run([name, "--help"], asFlag)).toBe(0);
  expect(await run(["help", name], asCommand)).toBe(0);
  expect(asFlag.outLines.join("\n")).toStartWith(`Usage: tagcast ${name}`);
  expect(asCommand.outLines).toEqual(asFlag.outLines);
});
