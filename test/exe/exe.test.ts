/**
 * The compiled executables: what is in them, on which machines they start, and that what surrounds them does not change
 * what they do. `bun run test:exe` runs all of test/e2e against the one for this machine; a core of it runs here.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { elfFacts } from "../../src/build.ts";
import { commandList } from "../../src/cli/commands.ts";
import { op } from "../../src/wire/messages.ts";
import { recordedIo } from "../harness/cli-io.ts";
import { RedisServer } from "../harness/redis.ts";
import { Program, scratchDirectory, type ServerProcess, startProcess } from "../harness/server.ts";
import { root } from "../harness/source-tree.ts";

const folder = scratchDirectory();
const dist = join(folder.path, "dist");
const names = ["linux-x64", "linux-arm64", "linux-x64-musl", "linux-arm64-musl"];
const host = `linux-${process.arch}`;
const pathOf = (name: string) => join(dist, `tagcast-${name}`);
/** Debian's emulator with Debian's libraries of that machine. */
const arm64 = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", pathOf("linux-arm64")];

async function build(...args: readonly string[]) {
  const child = Bun.spawn([process.execPath, join(root, "src/build.ts"), "--out", dist, ...args], {
    cwd: folder.path,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, code };
}

/** Runs a command line in the scratch folder to its end. */
async function call(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Program> {
  const called = new Program({ args: [], env, cwd: folder.path, wrapper: () => command });
  await called.end(60_000);
  return called;
}

function serve(command: readonly string[], args: readonly string[] = [], cwd = folder.path): Promise<ServerProcess> {
  const wrapper = (given: readonly string[]) => [...command, ...given.slice(given.indexOf("serve"))];
  return startProcess({ args, cwd, wrapper });
}

beforeAll(async () => {
  const built = await build(...names);
  if (built.code !== 0) throw new Error(built.stderr);
}, 120_000);
afterAll(() => folder[Symbol.dispose]());

describe("a build", () => {
  test("is checked by the sums that lie beside it, and leaves nothing else", async () => {
    expect(readdirSync(dist).toSorted()).toEqual(
      ["SHA256SUMS", ...names.map((name) => basename(pathOf(name)))].toSorted(),
    );
    const sums = await call(["sh", "-c", "cd dist && sha256sum -c --strict SHA256SUMS"]);
    expect(sums.stdout.match(/: OK$/gm)).toHaveLength(names.length);
  });

  test("of the same sources gives the same bytes", async () => {
    const before = await Bun.file(join(dist, "SHA256SUMS")).text();
    expect((await build("host")).stdout).toBe(`dist/tagcast-${host}\n`);
    expect(await Bun.file(join(dist, "SHA256SUMS")).text()).toBe(before);
  }, 60_000);

  test("is for the machine and the C library that its name says", async () => {
    const found = await Promise.all(
      names.map(async (name) => elfFacts(new DataView(await Bun.file(pathOf(name)).slice(0, 4096).arrayBuffer()))),
    );
    expect(found).toEqual([
      { machine: 62, interpreter: "/lib64/ld-linux-x86-64.so.2" },
      { machine: 183, interpreter: "/lib/ld-linux-aarch64.so.1" },
      { machine: 62, interpreter: "/lib/ld-musl-x86_64.so.1" },
      { machine: 183, interpreter: "/lib/ld-musl-aarch64.so.1" },
    ]);
  });

  test("says which targets there are where one is not known", async () => {
    const { code, stderr } = await build("linux-mips");
    expect([code, stderr]).toEqual([2, expect.stringContaining("linux-arm64-musl")]);
  });
});

describe("the executable of this machine", () => {
  const exe = pathOf(host);

  test("names version, commit and build", async () => {
    const { stdout } = await call([exe, "version", "--json"]);
    const facts = JSON.parse(stdout) as Record<string, unknown>;
    expect(facts).toMatchObject({ version: manifest.version, build: host, bun: Bun.version });
    const git = Bun.spawnSync(["git", "rev-parse", "HEAD"], { cwd: root });
    const commit = git.success ? git.stdout.toString().trim() : null;
    expect(String(facts["commit"]).replace("+changes", "")).toBe(String(commit));
  });

  test("has the help of every command in it", async () => {
    for (const { name, load } of commandList) {
      const { stdout } = await call([exe, name, "--help"]);
      const io = recordedIo();
      await (await load()).run(["--help"], io);
      expect([name, stdout.trim()]).toEqual([name, io.outLines.join("\n")]);
    }
  });

  test("runs no preload and reads no variables of the folder that it is started in", async () => {
    using place = scratchDirectory();
    const mark = join(place.path, "ran");
    await Bun.write(join(place.path, "bunfig.toml"), 'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n');
    await Bun.write(join(place.path, "evil.ts"), `await Bun.write(${JSON.stringify(mark)}, "x");`);
    await Bun.write(join(place.path, ".env"), "TAGCAST_LOG_LEVEL=silent\nTAGCAST_ADMIN_TOKEN=from-a-stray-file\n");
    await Bun.write(join(place.path, "tsconfig.json"), "{ not json");
    await Bun.write(join(place.path, "package.json"), "{ not json");
    await using server = await serve([exe], [], place.path);
    await server.until(/"message":"listening"/, "stderr");
    expect(server.token).not.toBe("from-a-stray-file");
    expect(existsSync(mark)).toBe(false);
  });

  test("joins others through Redis with the scripts that are in it", async () => {
    await using redis = await RedisServer.start();
    const rule = join(folder.path, "log.toml");
    await Bun.write(rule, '[[tags]]\npattern = "log/#"\nhistory = { size = 10 }\n');
    const shared = ["--redis", redis.url, "--config", rule];
    await using one = await serve([exe], shared);
    await using other = await startProcess({ args: shared });
    await using subscriber = await other.connect();
    await using publisher = await one.connect();
    await subscriber.ok(op.subscribe, "log/a");
    await publisher.ok(op.publish, "log/a", "through Redis");
    expect(await subscriber.messages(1)).toMatchObject([[op.message, "log/a", 1, "through Redis"]]);
  });

  test("passes the core of the end-to-end suite", async () => {
    const core = ["serve", "python", "roles", "docs-page", "browser-page"];
    const files = core.map((name) => join(root, `test/e2e/${name}.test.ts`));
    const suite = new Program({
      args: [],
      env: { TAGCAST_EXE: exe, TMPDIR: process.env["TMPDIR"] ?? "/tmp" },
      wrapper: () => [process.execPath, "test", "--timeout", "20000", "--isolate", ...files],
    });
    await using _ = suite;
    const code = await suite.end(170_000);
    expect([code, code === 0 ? "" : suite.stderr]).toEqual([0, ""]);
    expect(suite.stderr).toMatch(/^ *\d+ pass$/m);
  }, 180_000);
});

test("the executable for arm64 serves a first message under emulation", async () => {
  await using server = await serve(arm64);
  const credentials = { TAGCAST_URL: server.url, TAGCAST_TOKEN: server.token };
  await using subscriber = await server.connect();
  await subscriber.ok(op.subscribe, "hello/world");
  const pub = await call([...arm64, "pub", "hello/world", "It works"], credentials);
  expect(pub.stderr).toBe("");
  expect(await subscriber.messages(1)).toMatchObject([[op.message, "hello/world", null, "It works"]]);
  const version = await call([...arm64, "version", "--json"]);
  expect(JSON.parse(version.stdout)).toMatchObject({ build: "linux-arm64", platform: "linux-arm64" });
}, 60_000);
