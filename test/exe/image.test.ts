/**
 * The Dockerfile, really built and run, in both forms. Its bases are made here from this machine's Bun and C library, so that
 * no registry is asked for an image.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { op } from "../../src/wire/messages.ts";
import { sparePort } from "../harness/redis-asking.ts";
import { adminToken, Program, scratchDirectory } from "../harness/server.ts";
import { root } from "../harness/source-tree.ts";
import { WireClient } from "../harness/wire-client.ts";

const folder = scratchDirectory();
const storage = ["--root", join(folder.path, "storage"), "--runroot", join(folder.path, "run")];
const commit = "0123456789abcdef0123456789abcdef01234567";

async function call(...command: readonly string[]): Promise<string> {
  await using program = new Program({ args: [], wrapper: () => command, env: { BUILDAH_ISOLATION: "chroot" } });
  const code = await program.end(120_000);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${program.stderr.slice(-3000)}`);
  return program.stdout.trim();
}

const buildah = (...args: readonly string[]) => call("buildah", ...storage, ...args);

/** An image of a program with the shared libraries that it needs, and nothing else. */
async function makeBase(name: string, bun: boolean): Promise<void> {
  const container = await buildah("from", "scratch");
  const mounted = await buildah("mount", container);
  const libraries = (await call("ldd", process.execPath)).matchAll(/(?:=> |^\s*)(\/\S+)/gm);
  const copy = async (from: string, to: string) => {
    await mkdir(join(mounted, dirname(to)), { recursive: true });
    await cp(from, join(mounted, to), { dereference: true });
  };
  for (const [, path = ""] of libraries) await copy(path, path);
  if (bun) await copy(process.execPath, "/usr/local/bin/bun");
  // A directory that others may write, as every base image has it.
  await mkdir(join(mounted, "tmp"), { mode: 0o1777 });
  await buildah(
    "config",
    "--env",
    "PATH=/usr/local/bin:/usr/bin:/bin",
    "--env",
    "BUN_INSTALL_CACHE_DIR=/cache",
    container,
  );
  await buildah("commit", "--rm", container, name);
}

async function build(target: string): Promise<string> {
  const given = { BUN_IMAGE: "localhost/bun", BASE_IMAGE: "localhost/base", TAGCAST_COMMIT: commit };
  const parts = Object.entries(given).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  // What bun.lock names lies in the cache since the tests' own installation.
  const cache = await call(process.execPath, "pm", "cache");
  const options = [
    "--volume",
    `${cache}:/cache`,
    "--format",
    "docker",
    "--pull-never",
    "--layers",
    "--target",
    target,
    "--tag",
    `localhost/${target}`,
  ];
  return buildah("bud", ...options, ...parts, root);
}

function podman(...args: readonly string[]): readonly string[] {
  return ["podman", ...storage, "--cgroup-manager", "cgroupfs", "--runtime", "runc", ...args];
}

/** A container with nothing of its own that can be written, within the limits of this machine. */
function run(image: string, name: string, args: readonly string[], options: readonly string[] = []): Program {
  const limits = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"];
  const place = [
    "--network",
    "host",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop",
    "all",
    "--log-driver",
    "none",
  ];
  const given = [
    "--rm",
    "--pull",
    "never",
    "--name",
    name,
    ...limits,
    ...place,
    ...options,
    `localhost/${image}`,
    ...args,
  ];
  return new Program({ args: [], wrapper: () => podman("run", ...given) });
}

beforeAll(async () => {
  await makeBase("localhost/bun", true);
  await makeBase("localhost/base", false);
}, 120_000);
afterAll(async () => {
  // The storage of images stays mounted otherwise, and cannot be removed.
  await call(...podman("system", "reset", "--force"));
  folder[Symbol.dispose]();
});

describe.each(["executable", "source"])("the image of the %s", (form) => {
  const name = `tagcast-${form}-${process.pid}`;

  beforeAll(async () => void (await build(form)), 240_000);

  test("serves a first message as a user without rights, and its health check finds it well", async () => {
    const port = await sparePort();
    const env = ["--env", `TAGCAST_PORT=${port}`, "--env", `TAGCAST_ADMIN_TOKEN=${adminToken}`];
    await using server = run(form, name, [], [...env, "--memory", "96m"]);
    await server.until(/^tagcast listens on /m, "stdout", 30_000);
    const url = `ws://127.0.0.1:${port}/ws`;
    await using client = await WireClient.open(url, { token: adminToken });
    await client.ok(op.subscribe, "hello/world");
    await client.ok(op.publish, "hello/world", "It works");
    expect(await client.messages(1)).toMatchObject([[op.message, "hello/world", null, "It works"]]);
    await call(...podman("healthcheck", "run", name));
    expect(await call(...podman("top", name, "huser", "capeff"))).toContain("10001");
    server.signal("SIGTERM");
    expect(await server.end(30_000)).toBe(0);
  }, 90_000);

  test("refuses to listen beyond loopback without a credential", async () => {
    await using server = run(form, name, []);
    expect(await server.end(30_000)).toBe(2);
    expect(server.stderr).toMatch(/credential|token/i);
  }, 60_000);

  test("names what it was built from", async () => {
    await using version = run(form, name, ["version", "--json"]);
    expect(await version.end(30_000)).toBe(0);
    expect(JSON.parse(version.stdout)).toMatchObject(
      form === "source" ? { build: "source" } : { build: `linux-${process.arch}`, commit },
    );
  }, 60_000);
});
