/** A store that is not what was written is recognised, told and set aside; nobody is given what is wrong, or loses it for good. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkStore } from "../../../src/broker/sqlite/tool.ts";
import { errors } from "../../../src/core/codes.ts";
import { numbered, texts } from "../../contract/broker/kit.ts";
import { overwrite, StoreBench } from "../../harness/store.ts";

const setAsideMessage = "the store was damaged and is set aside, a new one is begun";

/** A stopped store of some pages, with text that is to be found in the file. */
async function filled(): Promise<StoreBench> {
  const bench = StoreBench.open();
  for (const text of numbered(1, 30)) await bench.append("t", [`${text} ${"needle".repeat(200)}`]);
  await bench.broker.stop();
  return bench;
}

/** Changes a byte of each message, and nothing that SQLite would notice. */
function spoil(bytes: Buffer): void {
  for (let at = bytes.indexOf("needle"); at >= 0; at = bytes.indexOf("needle", at + 1000)) bytes[at] = 0x21;
}

const damages: readonly (readonly [string, (bytes: Buffer) => Buffer | void])[] = [
  ["bytes of messages are others", (bytes) => spoil(bytes)],
  ["a page in the middle is zero", (bytes) => void bytes.fill(0, 8 * 4096, 9 * 4096)],
  ["a page in the middle is random", (bytes) => void crypto.getRandomValues(bytes.subarray(7 * 4096, 8 * 4096))],
  ["the beginning is another", (bytes) => void bytes.write("Something else")],
  ["the first page is random behind its name", (bytes) => void crypto.getRandomValues(bytes.subarray(16, 4096))],
  ["half of it is missing", (bytes) => bytes.subarray(0, Math.floor(bytes.length / 8192) * 4096)],
  ["it ends within a page", (bytes) => bytes.subarray(0, bytes.length - 1000)],
  ["it is empty", () => Buffer.alloc(0)],
  ["it is a text", () => Buffer.from("not a database\n".repeat(1000))],
];

describe("A store that is damaged at the start", () => {
  test.each(damages)("is set aside where %s", async (_, damage) => {
    await using bench = await filled();
    overwrite(bench.path, damage);
    const damaged = readFileSync(bench.path);
    expect(() => {
      const { problems } = checkStore(bench.path);
      if (problems.length > 0) throw new Error(problems[0]);
    }).toThrow();
    bench.start();
    expect(bench.broker.ready()).toBe(true);
    expect(bench.log.of(setAsideMessage)).toMatchObject([{ level: "error", fields: { path: bench.path } }]);
    expect(bench.others).toMatchObject([expect.stringMatching(/^store\.db\.damaged-\d{8}-\d{6}\.\d{3}$/)]);
    const kept = readFileSync(join(bench.directory, bench.others[0]!));
    // SQLite may note in the header that it has looked at it.
    expect(Buffer.compare(kept.subarray(100), damaged.subarray(100))).toBe(0);
    expect(await bench.page("t")).toMatchObject({ top: 0, messages: [] });
    expect((await bench.append("t", ["new"])).positions).toMatchObject([{ offset: 1 }]);
    expect(bench.broker.stats().store).toMatchObject({ isWritable: true, trouble: null, setAside: 1 });
    await bench.restart();
    expect(texts((await bench.page("t")).messages)).toEqual(["new"]);
  });

  test("does not take the place of one that was set aside before", async () => {
    await using bench = await filled();
    for (let i = 0; i < 3; i++) {
      overwrite(bench.path, (bytes) => void bytes.write("Something else"));
      bench.clock.advance(5);
      bench.start();
      await bench.broker.stop();
    }
    expect(bench.others).toHaveLength(3);
  });
});

test("a store that is damaged while it is used is set aside, its subscribers are told, and a new one is begun", async () => {
  await using bench = StoreBench.open();
  // More than is read at the start, or kept in memory.
  for (let i = 0; i < 10; i++) {
    await bench.append(
      "t",
      Array.from({ length: 40 }, (_, n) => `${i * 40 + n} `.padEnd(100_000, "needle")),
    );
  }
  await bench.restart();
  expect(statSync(bench.path).size).toBeGreaterThan(32 * 1024 ** 2);
  const before = await bench.page("t", { after: 399 });
  overwrite(bench.path, spoil);
  const answers = await Promise.allSettled([bench.page("t"), bench.page("t", { after: 5 })]);
  for (const answer of answers)
    expect(answer).toMatchObject({ status: "rejected", reason: { code: errors.unavailable } });
  await bench.log.until(setAsideMessage);
  await bench.feed.until(() => bench.feed.resyncs.length > 0);
  expect(bench.feed.resyncs).toEqual([{ relayed: false }]);
  expect(bench.broker.ready()).toBe(true);
  const after = await bench.page("t");
  expect(after).toMatchObject({ top: 0, messages: [] });
  expect(after.epoch).not.toBe(before.epoch);
  expect((await bench.append("t", ["new"])).positions).toMatchObject([{ epoch: after.epoch, offset: 1 }]);
  expect(bench.others).toHaveLength(1);
}, 60_000);

describe("A file that is no store of ours", () => {
  function databaseOf(bench: StoreBench, statement: string): Buffer {
    const db = new Database(bench.path, { create: true, readwrite: true });
    db.run("CREATE TABLE theirs (x)");
    db.run(statement);
    db.close();
    return readFileSync(bench.path);
  }

  test("is left alone, and the server is not started, where another program made it", async () => {
    await using bench = new StoreBench();
    const theirs = databaseOf(bench, "INSERT INTO theirs VALUES (1)");
    expect(() => bench.start()).toThrow("It is a database of another program");
    expect(Buffer.compare(readFileSync(bench.path), theirs)).toBe(0);
    expect(bench.others).toEqual([]);
  });

  test("is left alone where a newer version made it", async () => {
    await using bench = StoreBench.open();
    await bench.append("t", ["a"]);
    await bench.broker.stop();
    const db = new Database(bench.path, { readwrite: true });
    db.run("PRAGMA user_version = 99");
    db.close();
    expect(() => bench.start()).toThrow("It has format 99, of a newer version of tagcast");
    expect(bench.others).toEqual([]);
  });

  test("is not taken where it is a directory", async () => {
    await using bench = new StoreBench({ path: "/dev" });
    expect(() => bench.start()).toThrow('The store "/dev" cannot be used');
  });
});

describe("A store that another process has", () => {
  test("is refused with a word on why, and is to be had once that is over", async () => {
    await using bench = StoreBench.open();
    await bench.append("t", ["a"]);
    const second = bench.make();
    expect(() => second.start(bench.feed)).toThrow("another process uses it: one store belongs to one server");
    expect(() => checkStore(bench.path)).toThrow("database is locked");
    expect((await bench.append("t", ["b"])).positions).toMatchObject([{ offset: 2 }]);
    await bench.restart();
    expect(texts((await bench.page("t")).messages)).toEqual(["a", "b"]);
  });
});

test("a store in a directory that is not there is made with it, for its owner alone", async () => {
  await using bench = new StoreBench();
  const path = join(bench.directory, "deep", "down", "store.db");
  await using other = new StoreBench({ path });
  other.start();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(bench.directory, "deep")).mode & 0o777).toBe(0o700);
  expect(existsSync(`${path}.new`)).toBe(false);
});

test("what a start that was cut off left behind does not hinder the next", async () => {
  await using bench = new StoreBench();
  writeFileSync(`${bench.path}.new`, "half of a store");
  truncateSync(`${bench.path}.new`, 5);
  bench.start();
  expect((await bench.append("t", ["a"])).positions).toMatchObject([{ offset: 1 }]);
  expect(bench.others).toEqual([]);
});
