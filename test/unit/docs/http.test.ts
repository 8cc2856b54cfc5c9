/** docs/http.md against a server: its curl examples are run, in order, and their answers are those that it shows. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createApi } from "../../../src/gateway/api/app.ts";
import type { ApiParts } from "../../../src/gateway/api/context.ts";
import { Origins } from "../../../src/gateway/origins.ts";
import { op } from "../../../src/wire/messages.ts";
import { within } from "../../harness/deadline.ts";
import { scratchDirectory, type ServerProcess, startProcess } from "../../harness/server.ts";
import { root } from "../../harness/source-tree.ts";
import type { WireClient } from "../../harness/wire-client.ts";

const text = await Bun.file(join(root, "docs/http.md")).text();

interface Example {
  readonly command: string;
  /** Null: an answer without a body. */
  readonly answer: unknown;
}

/** Blocks of shell with curl, each with the block of JSON behind it. */
const examples: readonly Example[] = [
  ...text.matchAll(/```sh\n([^`]*?\bcurl\b[^`]*)```\n(?:\n```json\n([^`]*)```)?/g),
].map(([, command = "", answer]) => ({ command, answer: answer === undefined ? null : JSON.parse(answer) }));

let server: ServerProcess;
let display: WireClient;
const scratch = scratchDirectory();
/** What a reader would copy from the answer before. */
let id = "";

beforeAll(async () => {
  const config = join(scratch.path, "tagcast.toml");
  await Bun.write(config, /```toml\n([^`]*)```/.exec(text)?.[1] ?? "");
  server = await startProcess({ args: ["--config", config] });
  display = await server.connect({ options: { client: "display" } });
  await display.ok(op.subscribe, "plant/7/temp");
});
afterAll(async () => {
  await display[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

async function run(command: string): Promise<string> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    URL: server.http,
    AUTH: `Authorization: Bearer ${server.token}`,
    ID: id,
  };
  const shell = Bun.spawn(["bash", "-euc", command.replaceAll("curl ", "curl --silent --show-error ")], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, status] = await within(
    Promise.all([shell.stdout.text(), shell.stderr.text(), shell.exited]),
    `the end of ${command}`,
  );
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${err}`);
  return out;
}

/** Epochs, times and generations are other ones each time. */
const largest = 1_000_000;

/** Whether a value is the one shown, or one like it where a reader would not expect the same. */
function isLike(shown: unknown, value: unknown): boolean {
  if (typeof shown === "number" && shown > largest) return typeof value === "number" && value > 0;
  if (typeof shown === "string" && shown.endsWith("…")) {
    return typeof value === "string" && value.startsWith(shown.slice(0, -1)) && value.length > shown.length;
  }
  if (typeof shown !== "object" || shown === null || typeof value !== "object" || value === null)
    return shown === value;
  const keys = Object.keys(shown);
  const same =
    Array.isArray(shown) === Array.isArray(value) && Bun.deepEquals(keys.toSorted(), Object.keys(value).toSorted());
  return (
    same &&
    keys.every((key) => isLike((shown as Record<string, unknown>)[key], (value as Record<string, unknown>)[key]))
  );
}

function idIn(answer: unknown): string | undefined {
  const shown = answer as { id?: string; token?: { id: string }; connections?: { id: string }[] };
  return shown.token?.id ?? shown.connections?.[0]?.id ?? shown.id;
}

test("there are examples, and an answer that differs would be found", () => {
  expect(examples.length).toBeGreaterThan(15);
  expect(isLike({ a: [3735928559, 1], b: "x…" }, { a: [7, 1], b: "xyz" })).toBe(true);
  for (const other of [
    { a: [7, 2], b: "xyz" },
    { a: [7], b: "xyz" },
    { a: [7, 1], b: "yz" },
    { a: [7, 1], b: "xyz", c: 1 },
  ]) {
    expect(isLike({ a: [3735928559, 1], b: "x…" }, other)).toBe(false);
  }
});

test("the examples are answered as they show, one after the other", async () => {
  for (const { command, answer: shown } of examples) {
    const out = await run(command);
    const answer: unknown = out === "" ? null : JSON.parse(out);
    expect({ command, like: isLike(shown, answer), answer, shown }).toMatchObject({ like: true });
    if (answer !== null) id = idIn(answer) ?? id;
  }
}, 20_000);

test("every operation of the OpenAPI document is named", async () => {
  const parts = {
    payloadMaxBytes: 1024,
    depthMax: 8,
    doorway: { origins: new Origins([]) },
    version: "",
  } as unknown as ApiParts;
  const { paths } = (await (await createApi(parts).request("/openapi.json")).json()) as {
    paths: Record<string, object>;
  };
  const names = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

test("every file and heading that it links to is there", async () => {
  for (const [, file = "", anchor] of text.matchAll(/\]\(([^)#]+)(?:#([^)]+))?\)/g)) {
    const target = Bun.file(join(root, "docs", file));
    expect({ file, exists: await target.exists() }).toEqual({ file, exists: true });
    if (anchor === undefined) continue;
    const headings = [...(await target.text()).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} -]/gu, "")
        .replaceAll(" ", "-"),
    );
    expect(headings).toContain(anchor);
  }
});
