/** The SDK as others get at it: as the package `tagcast/client`, linked, and as one file of plain JavaScript. */
import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { startConfigured } from "../../harness/configured-process.ts";
import { adminToken, scratchDirectory } from "../../harness/server.ts";
import { root } from "../../harness/source-tree.ts";

const node = join(root, "node_modules/node/bin/node");

const program = (from: string) => `
import { connect, TagcastError } from "${from}";
const client = connect(process.argv[2], { token: process.argv[3] });
const subscription = client.subscribe("it/works");
await subscription.ready;
await client.publish("it/works", new Uint8Array([1, 2, 3]));
for await (const { payload } of subscription) {
  console.log(payload instanceof Uint8Array, [...payload].join());
  break;
}
await client.publish("a/#", 1).catch((error) => console.log(error instanceof TagcastError, error.code));
client.close();
`;

/** What a program that imports the SDK prints; the process ends by itself once the client is closed. */
async function output(runtime: string, from: string, prepare: (folder: string) => Promise<void>): Promise<string> {
  await using server = await startConfigured();
  using scratch = scratchDirectory();
  await prepare(scratch.path);
  const path = join(scratch.path, "program.mjs");
  await Bun.write(path, program(from));
  const child = Bun.spawn([runtime, path, server.url, adminToken], {
    cwd: scratch.path,
    stdin: "ignore",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return stdout + stderr;
}

function link(folder: string): Promise<void> {
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/tagcast"));
  return Promise.resolve();
}

/** As docs/sdk.md tells it. */
async function build(folder: string): Promise<void> {
  const outfile = join(folder, "tagcast-client.js");
  const command = ["build", "src/client/client.ts", "--target", "browser", "--minify", "--outfile", outfile];
  const child = Bun.spawn([process.execPath, ...command], {
    cwd: root,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [stderr, code] = await Promise.all([child.stderr.text(), child.exited]);
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
}

test("a page's project type-checks the SDK with the types of a browser alone", async () => {
  using scratch = scratchDirectory();
  await link(scratch.path);
  const compilerOptions = {
    strict: true,
    lib: ["ESNext", "DOM"],
    types: [],
    module: "ESNext",
    moduleResolution: "bundler",
    allowImportingTsExtensions: true,
    noEmit: true,
  };
  await Bun.write(join(scratch.path, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["page.ts"] }));
  const page = `import { connect, type Message } from "tagcast/client";
connect("wss://example.com/ws", { webSocket: WebSocket }).subscribe("a", ({ payload }: Message<number>) => payload.toFixed());
`;
  await Bun.write(join(scratch.path, "page.ts"), page);
  const command = [process.execPath, "check", "--no-pretty"];
  const child = Bun.spawn(command, { cwd: scratch.path, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect({ told: code === 0 ? "" : stdout + stderr, code }).toEqual({ told: "", code: 0 });
});

const expected = "true 1,2,3\ntrue 108\n";

test.each([
  ["Bun", process.execPath],
  ["Node 22", node],
])("in %s the linked package is imported by its name", async (_, runtime) => {
  expect(await output(runtime, "tagcast/client", link)).toBe(expected);
});

test.each([
  ["Bun", process.execPath],
  ["Node 22", node],
])("in %s the file of plain JavaScript needs nothing else", async (_, runtime) => {
  expect(await output(runtime, "./tagcast-client.js", build)).toBe(expected);
});
