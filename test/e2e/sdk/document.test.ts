/** docs/sdk.md: its examples run and print what they say, its tables name everything, its size is the one measured. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { startConfigured } from "../../harness/configured-process.ts";
import { adminToken, scratchDirectory } from "../../harness/server.ts";
import { read, root } from "../../harness/source-tree.ts";

const text = await read("docs/sdk.md");
const urlInText = "ws://127.0.0.1:8080/ws";
const tokenInText = "only-to-try-it-out";
const toml = /^```toml\n([\s\S]*?)^```$/m.exec(text)?.[1] ?? "";

interface Example {
  readonly heading: string;
  readonly source: string;
  /** What it says that it prints. */
  readonly prints: readonly string[];
}

/** Examples go on from the client of the first one. */
const before = `import { connect, TagcastError } from "tagcast/client";
const client = connect("${urlInText}", { token: "${tokenInText}" });
`;
const after = "\nclient.close();\nexport { connect, TagcastError };\n";

const examples = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match): Example => {
  const [, code = ""] = match;
  const heading = [...text.slice(0, match.index).matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? "";
  const prints = [...code.matchAll(/\/\/ → (.*)$/gm)].map(([, line = ""]) => line);
  return { heading, source: code.includes("import {") ? code : before + code + after, prints };
});
const named = examples.map((example, i) => [`${i + 1}, "${example.heading}"`, example] as const);

const scratch = scratchDirectory();
const pathOf = (name: string) => join(scratch.path, name);

beforeAll(async () => {
  mkdirSync(pathOf("node_modules"));
  symlinkSync(root, pathOf("node_modules/tagcast"));
  await Bun.write(pathOf("package.json"), '{"type":"module"}');
});
afterAll(() => scratch[Symbol.dispose]());

async function run(command: readonly string[]) {
  const child = Bun.spawn([...command], { cwd: scratch.path, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, code };
}

describe("docs/sdk.md", () => {
  test("has examples, most of which say what they print", () => {
    expect(examples.length).toBeGreaterThan(12);
    expect(examples.filter(({ prints }) => prints.length === 0)).toEqual([]);
  });

  test.each(named)("example %s prints what it says", async (name, { source, prints }) => {
    await using server = await startConfigured({ toml });
    const path = pathOf(`example-${name.replace(/\D/g, "")}.ts`);
    await Bun.write(path, source.replaceAll(urlInText, server.url).replaceAll(tokenInText, adminToken));
    const { stdout, stderr, code } = await run([process.execPath, path]);
    expect({ stdout: stdout.trimEnd().split("\n"), stderr, code }).toEqual({
      stdout: [...prints],
      stderr: "",
      code: 0,
    });
  });

  test("examples are typed", async () => {
    const own = Bun.JSONC.parse(await read("tsconfig.json")) as { compilerOptions: object };
    const types = [join(root, "node_modules/bun-types")];
    const config = { compilerOptions: { ...own.compilerOptions, types }, include: ["typed-*.ts"] };
    await Bun.write(pathOf("tsconfig.json"), JSON.stringify(config));
    await Promise.all(examples.map(({ source }, i) => Bun.write(pathOf(`typed-${i + 1}.ts`), source)));
    const { stdout, stderr, code } = await run([process.execPath, "check", "--no-pretty"]);
    expect({ told: code === 0 ? "" : stdout + stderr, code }).toEqual({ told: "", code: 0 });
  }, 20_000);

  test("names every option, event and reason", async () => {
    const types = await read("src/client/types.ts");
    const errors = await read("src/client/errors.ts");
    const interfaces = [
      "ConnectOptions",
      "SubscribeOptions",
      "PublishOptions",
      "HistoryOptions",
      "RequestOptions",
      "ClientEvents",
    ];
    const fields = interfaces.flatMap((name) => {
      const body = new RegExp(`interface ${name} \\{([\\s\\S]*?)^\\}`, "m").exec(types)?.[1] ?? "";
      return [...body.matchAll(/^  (?:readonly )?(\w+)\??:/gm)].map(([, field = ""]) => field);
    });
    const reasons = [.../type GapReason =([\s\S]*?);/.exec(types)![1]!.matchAll(/"([\w-]+)"/g)];
    const kinds = [.../type Failure = (.*);/.exec(errors)![1]!.matchAll(/"([\w-]+)"/g)];
    const words = [...fields, ...[...reasons, ...kinds].map(([, word = ""]) => word)];
    expect(words.length).toBeGreaterThan(30);
    expect(words.filter((word) => !text.includes(`\`${word}\``))).toEqual([]);
  });

  test("tells the size of the SDK as it is, within 15 kB", async () => {
    const { outputs } = await Bun.build({
      entrypoints: [join(root, "src/client/client.ts")],
      target: "browser",
      format: "esm",
      minify: true,
    });
    expect(outputs).toHaveLength(1);
    const bytes = Bun.gzipSync(await outputs[0]!.arrayBuffer(), { level: 9 }).length;
    expect(bytes).toBeLessThanOrEqual(15_000);
    const told = Number(/both together take at most ([\d.]+) kB/.exec(text)?.[1]) * 1000;
    expect(told - bytes).toBeGreaterThanOrEqual(0);
    expect(told - bytes).toBeLessThan(500);
  });
});
