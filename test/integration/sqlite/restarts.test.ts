/** What a store brings over from one process to the next, and from one run of the machine to the next. */
import { describe, expect, test } from "bun:test";
import { existsSync, rmSync, statSync } from "node:fs";
import { checkStore } from "../../../src/broker/sqlite/tool.ts";
import { draft, keeps, numbered, offsets, retained, texts } from "../../contract/broker/kit.ts";
import { overwrite, StoreBench } from "../../harness/store.ts";

const dayMs = 86_400_000;

describe("A store that was stopped in order", () => {
  test("has its logs, with epochs of empty tags, and leaves no write-ahead log", async () => {
    await using bench = StoreBench.open();
    await bench.append("t", numbered(1, 5));
    for (const text of ["old", "new"]) await bench.append("r", [text], retained);
    const empty = await bench.page("asked");
    const before = await bench.page("t");
    await bench.broker.stop();
    expect(existsSync(bench.wal)).toBe(false);
    expect(bench.others).toEqual([]);
    bench.start();
    expect(await bench.page("t")).toEqual(before);
    expect(texts((await bench.page("r", { rule: retained })).messages)).toEqual(["new"]);
    expect(await bench.page("asked")).toEqual(empty);
    expect(bench.log.entries.filter(({ level }) => level !== "info")).toEqual([]);
  });

  test("counts the window of a key over the restart, whatever the wall clock does meanwhile", async () => {
    await using bench = StoreBench.open({ idempotencyWindowMs: 10_000 });
    const [first] = (await bench.append("t", [draft("a", "k")])).positions!;
    for (const jumpMs of [30 * dayMs, -60 * dayMs]) {
      await bench.broker.stop();
      bench.clock.advance(4000);
      bench.clock.jumpWall(jumpMs);
      bench.start();
      expect((await bench.append("t", [draft("b", "k")])).positions).toEqual([{ ...first!, repeated: true }]);
    }
    await bench.broker.stop();
    bench.clock.advance(4000);
    bench.start();
    expect((await bench.append("t", [draft("c", "k")])).positions).toMatchObject([{ offset: 2, repeated: false }]);
  });

  test("counts ages over the restart, whatever the wall clock does meanwhile", async () => {
    await using bench = StoreBench.open();
    const rule = keeps({ size: 10, ttlMs: 60_000 });
    await bench.append("t", ["a"], rule);
    bench.clock.advance(30_000);
    await bench.append("t", ["b"], rule);
    await bench.broker.stop();
    bench.clock.jumpWall(dayMs);
    bench.clock.advance(20_000);
    bench.start();
    expect(texts((await bench.page("t", { rule })).messages)).toEqual(["a", "b"]);
    bench.clock.advance(11_000);
    expect(texts((await bench.page("t", { rule })).messages)).toEqual(["b"]);
  });

  test("keeps keys of messages that are trimmed, and forgets those of a log that was dropped", async () => {
    await using bench = StoreBench.open({ logsMax: 2 });
    const [kept] = (await bench.append("t", [draft("a", "k")], retained)).positions!;
    await bench.append("t", numbered(1, 20), retained);
    const [dropped] = (await bench.append("u", [draft("a", "k")])).positions!;
    await bench.append("t", ["b"], retained);
    await bench.append("v", ["x"]);
    await bench.seconds(3);
    await bench.restart();
    expect((await bench.append("t", [draft("a", "k")], retained)).positions).toEqual([{ ...kept!, repeated: true }]);
    const [again] = (await bench.append("u", [draft("a", "k")])).positions!;
    expect(again).toMatchObject({ offset: 1, repeated: false });
    expect(again!.epoch).not.toBe(dropped!.epoch);
  });
});

describe("A store whose process was killed", () => {
  test("has all that was acknowledged, in the same epochs", async () => {
    await using bench = StoreBench.open();
    await bench.append("t", numbered(1, 5));
    const [keyed] = (await bench.append("t", [draft("m6", "k")])).positions!;
    const before = await bench.page("t");
    await bench.kill();
    expect(checkStore(bench.path)).toMatchObject({ isStopped: false, messages: 6, problems: [] });
    bench.start();
    expect(await bench.page("t")).toEqual(before);
    expect((await bench.append("t", [draft("m6", "k")])).positions).toEqual([{ ...keyed!, repeated: true }]);
  });

  test("is in the same epochs after a power cut too, where it had waited for the disk", async () => {
    await using bench = StoreBench.open();
    await bench.append("t", numbered(1, 5));
    const before = await bench.page("t");
    await bench.kill();
    bench.boot = "second";
    bench.start();
    expect(await bench.page("t")).toEqual(before);
  });

  test("begins new epochs after a power cut where it had not waited, and knows how far the old ones got", async () => {
    await using bench = StoreBench.open({ durability: "normal" });
    await bench.append("t", numbered(1, 5));
    const [keyed] = (await bench.append("t", [draft("m6", "k")])).positions!;
    const before = await bench.page("t");
    await bench.kill();
    bench.start();
    expect((await bench.page("t")).epoch).toBe(before.epoch);
    await bench.kill();
    bench.boot = "second";
    bench.start();
    const after = await bench.page("t");
    expect(after.epoch).not.toBe(before.epoch);
    expect(after).toMatchObject({ top: 6, previous: { epoch: before.epoch, offset: 6 } });
    expect(texts(after.messages)).toEqual(texts(before.messages));
    // The message is there, under the same offset.
    expect((await bench.append("t", [draft("m6", "k")])).positions).toEqual([
      { epoch: after.epoch, offset: keyed!.offset, repeated: true },
    ]);
    expect(offsets((await bench.append("t", ["m7"])).positions!)).toEqual([7]);
    await bench.restart();
    expect(await bench.page("t")).toMatchObject({ epoch: after.epoch, previous: after.previous! });
  });
});

describe("A write-ahead log", () => {
  /** Killed with three groups in the log. */
  async function killed(): Promise<StoreBench> {
    const bench = StoreBench.open();
    await bench.append("t", ["before"]);
    for (const text of numbered(1, 3)) await bench.append("t", [text]);
    await bench.kill();
    return bench;
  }

  test("that is damaged is used as far as it is whole, kept, and told by new epochs", async () => {
    await using bench = await killed();
    overwrite(bench.wal, (bytes) => void bytes.fill(0x55, 32 + 24 + 100, 32 + 24 + 200));
    expect(checkStore(bench.path).problems).toEqual(["The end of the write-ahead log cannot be used"]);
    expect(checkStore(bench.path).problems).toHaveLength(1);
    bench.start();
    expect(bench.log.of("the end of the store's write-ahead log cannot be used, a copy is kept")).toHaveLength(1);
    expect(bench.others).toMatchObject([expect.stringMatching(/^store\.db-wal\.damaged-/)]);
    const page = await bench.page("t");
    expect(page.previous).toMatchObject({ offset: page.top });
    expect(page.top).toBeLessThan(4);
    expect((await bench.append("t", ["after"])).positions).toMatchObject([{ offset: page.top + 1 }]);
  });

  test("whose last frame is torn says nothing of a killed process, and that something may be lost of a power cut", async () => {
    await using bench = await killed();
    const end = statSync(bench.wal).size;
    // Frames of a round before are behind those of this one, or nothing is.
    overwrite(bench.wal, (bytes) => bytes.subarray(0, end - 1));
    bench.start();
    expect((await bench.page("t")).previous).toBeUndefined();
    await bench.append("t", ["more"]);
    await bench.kill();
    overwrite(bench.wal, (bytes) => bytes.subarray(0, statSync(bench.wal).size - 1));
    bench.boot = "second";
    bench.start();
    const { previous, top } = await bench.page("t");
    expect(previous === undefined || previous.offset === top).toBe(true);
  });

  test("that was taken away is missed", async () => {
    await using bench = await killed();
    rmSync(bench.wal);
    bench.start();
    const page = await bench.page("t");
    expect(page.previous).toMatchObject({ offset: page.top });
  });

  test("without its database is not taken for a part of the next one", async () => {
    await using bench = await killed();
    rmSync(bench.path);
    bench.start();
    expect(await bench.page("t")).toMatchObject({ top: 0, messages: [] });
    expect(bench.others).toMatchObject([expect.stringMatching(/^store\.db-wal\.orphaned-/)]);
  });
});
