import { expect, test } from "bun:test";
import manifest from "../../../package.json" with { type: "json" };
import { run } from "../../../src/cli/version.ts";
import { recordedIo } from "../../harness/cli-io.ts";

test("version prints the package's version, Bun's and the platform", async () => {
  const io = recordedIo();
  expect(await run([], io)).toBe(0);
  expect(io.outLines).toEqual([
    `tagcast ${manifest.version} (source; Bun ${Bun.version}, ${process.platform}-${process.arch})`,
  ]);
});

test("version --json prints one object", async () => {
  const io = recordedIo();
  expect(await run(["--json"], io)).toBe(0);
  expect(JSON.parse(io.outLines.join("\n"))).toEqual({
    version: manifest.version,
    commit: null,
    build: "source",
    date: null,
    bun: Bun.version,
    platform: `${process.platform}-${process.arch}`,
  });
});

test("version refuses other arguments", () => {
  expect(run(["--jsno"], recordedIo())).rejects.toThrow('unexpected argument "--jsno"');
});
