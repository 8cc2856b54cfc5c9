/** The executable on a small box: a thousand devices within the memory that the unit of systemd gives it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { op } from "../../src/wire/messages.ts";
import { MemoryLimit, peakResidentBytes } from "../harness/memory-limit.ts";
import { adminToken, scratchDirectory, startProcess } from "../harness/server.ts";
import { root } from "../harness/source-tree.ts";
import { WireClient } from "../harness/wire-client.ts";

const limitBytes = 96 * 1024 ** 2;
const devices = 1000;
const rounds = 5;
const folder = scratchDirectory();
const exe = join(folder.path, `tagcast-linux-${process.arch}`);

beforeAll(() => {
  const command = [process.execPath, join(root, "src/build.ts"), "--out", folder.path, "host"];
  const { success, stderr } = Bun.spawnSync(command, { cwd: root, stdin: "ignore" });
  if (!success) throw new Error(stderr.toString());
}, 60_000);
afterAll(() => folder[Symbol.dispose]());

test("a thousand devices send their readings, and are told apart, within 96 MB", async () => {
  const config = await Bun.file(join(root, "examples/systemd/tagcast.toml")).text();
  const path = join(folder.path, "tagcast.toml");
  await Bun.write(path, config.replace("/var/lib/tagcast/", `${folder.path}/`));
  using limit = MemoryLimit.create(limitBytes);
  await using server = await startProcess({
    args: ["--config", path, "--admin-token", adminToken],
    wrapper: (command) => {
      const alone = [exe, ...command.slice(command.indexOf("serve"))];
      return limit === null ? alone : limit.wrap(alone);
    },
  });
  await using watcher = await WireClient.open(server.url, { token: adminToken });
  await watcher.ok(op.subscribe, "devices/+/state");
  await using crowd = new AsyncDisposableStack();
  const clients: WireClient[] = [];
  for (let i = 0; i < devices; i++) {
    const client = crowd.use(await WireClient.open(server.url, { token: adminToken, options: { client: `d${i}` } }));
    await client.ok(op.subscribe, `devices/d${i}/orders`);
    clients.push(client);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [i, client] of clients.entries()) {
      client.send([op.publish, 0, `devices/d${i}/state`, { round, load: 0.25 }]);
    }
    await watcher.messages(devices * (round + 1), undefined, 30_000);
  }
  for (const [i, client] of clients.entries()) {
    await watcher.ok(op.publish, `devices/d${i}/orders`, "restart");
    await client.messages(1);
  }
  // Beyond the bound of a group the kernel would have ended the process.
  expect(limit === null ? peakResidentBytes(server.pid) : (limit.peakBytes() ?? 0)).toBeLessThanOrEqual(limitBytes);
}, 120_000);
