/** A disk that is full or cannot be written: publishes to logs are refused, the rest goes on, and all of it once there is room. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../../../src/core/codes.ts";
import { op } from "../../../src/wire/messages.ts";
import { adminToken, scratchDirectory, type ServerProcess, startProcess } from "../../harness/server.ts";
import { type SmallDisk, smallDisks } from "../../harness/small-disk.ts";
import { memoryDirectory } from "../../harness/sqlite-broker.ts";
import type { WireClient } from "../../harness/wire-client.ts";

/** For a machine that is busy: a server tries its disk each second. */
const waitMs = 20_000;
const testMs = 60_000;
const toml = 'store = "store.db"\n[[tags]]\npattern = "log/#"\nhistory = { size = 100000 }\n';

class Box implements AsyncDisposable {
  readonly server: ServerProcess;
  readonly #disk: SmallDisk;
  readonly #directory: string;
  readonly #scratch: Disposable;

  private constructor(server: ServerProcess, disk: SmallDisk, directory: string, scratch: Disposable) {
    this.server = server;
    this.#disk = disk;
    this.#directory = directory;
    this.#scratch = scratch;
  }

  static async start(disk: SmallDisk, state: "free" | "full" | "readOnly"): Promise<Box> {
    const scratch = scratchDirectory(memoryDirectory);
    const directory = join(scratch.path, "disk");
    mkdirSync(directory);
    writeFileSync(join(directory, "tagcast.toml"), toml);
    const args = ["--config", join(directory, "tagcast.toml"), "--admin-token", adminToken];
    if (state !== "free") {
      // A store that was used before.
      await using first = await startProcess({ args }, waitMs);
      await using client = await first.connect({ token: adminToken });
      await client.ok(op.publish, "log/a", "before");
      first.signal("SIGKILL");
      await first.end();
    }
    const wrapper = disk.wrapper(directory, state);
    return new Box(await startProcess({ args, wrapper }, waitMs), disk, directory, scratch);
  }

  fill(): void {
    this.#disk.fill(this.#directory, this.server.pid);
  }

  /** Makes room; settles once the server has noticed. */
  async free(): Promise<void> {
    this.#disk.free(this.#directory, this.server.pid);
    await this.server.until(/"message":"the store can be (written again|used)"/, "stderr", waitMs);
  }

  connect(): Promise<WireClient> {
    return this.server.connect({ token: adminToken });
  }

  async readiness(): Promise<readonly [number, string]> {
    const response = await fetch(`${this.server.http}/readyz`);
    return [response.status, await response.text()];
  }

  async metric(name: string): Promise<number> {
    const response = await fetch(`${this.server.http}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } });
    return Number(
      (await response.text())
        .split("\n")
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.#scratch[Symbol.dispose]();
  }
}

/** What is kept of a log, without what fills it. */
async function kept(client: WireClient, tag: string): Promise<string[]> {
  const texts: string[] = [];
  for (let more = true, since: unknown = null; more;) {
    const page = await client.ok(op.history, tag, since === null ? {} : { since });
    const messages = page["messages"] as [number, string][];
    for (const [, text] of messages) texts.push(text.trimEnd());
    since = [(page["position"] as number[])[0], messages.at(-1)?.[0] ?? 0];
    more = page["more"] === true;
  }
  return texts;
}

/** Publishes until it is refused; how many were acknowledged. */
async function publishUntilRefused(client: WireClient, tag: string): Promise<number> {
  for (let count = 0; count < 1000; count++) {
    const [kind, , code] = await client.request(op.publish, tag, `${count} `.padEnd(60_000), { id: `${tag} ${count}` });
    if (kind === op.ok) continue;
    expect(code).toBe(errors.unavailable.code);
    return count;
  }
  throw new Error("Was never refused");
}

async function expectOnlyLogsRefused(box: Box, client: WireClient): Promise<void> {
  const large = "refused".padEnd(60_000);
  expect(await client.refused(op.publish, "log/a", large, { id: "refused" })).toBe(errors.unavailable.code);
  await client.ok(op.subscribe, "live/#");
  await client.ok(op.publish, "live/a", "delivered");
  expect(await client.payloads(1, "live/a")).toEqual(["delivered"]);
  await client.ok(op.unsubscribe, "live/#");
  expect(await box.readiness()).toEqual([503, expect.stringMatching(/^not ready\nstore: (full|failed|readOnly): /)]);
  expect(await box.metric("tagcast_store_writable")).toBe(0);
  expect(await box.metric('tagcast_appends_total{outcome="refused"}')).toBeGreaterThan(0);
}

describe.each(smallDisks().map((disk) => [disk.kind, disk] as const))("On a disk with %s,", (_, disk) => {
  test(
    "what was acknowledged stays when it is full, and publishing goes on by itself when it is not",
    async () => {
      await using box = await Box.start(disk, "free");
      await using client = await box.connect();
      await client.ok(op.publish, "log/a", "first", { id: "first" });
      box.fill();
      const count = await publishUntilRefused(client, "log/b");
      await expectOnlyLogsRefused(box, client);
      expect(await kept(client, "log/a")).toEqual(["first"]);
      expect(await kept(client, "log/b")).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
      await box.free();
      expect((await box.readiness())[0]).toBe(200);
      // What was refused may be published again, and is there once.
      await client.ok(op.publish, "log/a", "refused", { id: "refused" });
      await client.ok(op.publish, "log/b", "again", { id: `log/b ${count}` });
      expect(await kept(client, "log/a")).toEqual(["first", "refused"]);
      expect((await kept(client, "log/b")).slice(count - 1)).toEqual(
        [...(count > 0 ? [`${count - 1}`] : []), "again"].slice(-2),
      );
    },
    testMs,
  );

  test.each(["full", "readOnly"] as const)(
    "a server starts though it is %s, and has its logs once it is not",
    async (state) => {
      await using box = await Box.start(disk, state);
      await using client = await box.connect();
      // A full disk may have room in files that are there: using that up is what makes it full.
      await publishUntilRefused(client, "log/b");
      await expectOnlyLogsRefused(box, client);
      await box.free();
      await client.ok(op.publish, "log/a", "refused", { id: "refused" });
      expect(await kept(client, "log/a")).toEqual(["before", "refused"]);
    },
    testMs,
  );
});
