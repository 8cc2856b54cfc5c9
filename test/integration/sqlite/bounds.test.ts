/** What a store holds at most, and that it comes down to that a part at a time. */
import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { checkStore, compactStore } from "../../../src/broker/sqlite/tool.ts";
import { run as runProgram } from "../../../src/cli/run.ts";
import { errors } from "../../../src/core/codes.ts";
import { keeps, main, numbers, offsets } from "../../contract/broker/kit.ts";
import { recordedIo } from "../../harness/cli-io.ts";
import { StoreBench } from "../../harness/store.ts";

const MiB = 1024 ** 2;
const filler = "x".repeat(2000);
const texts = (count: number) => Array.from({ length: count }, (_, i) => `${i} ${filler}`);

/** Appends more than fits, to some logs in turn, and looks at each step. */
async function flood(bench: StoreBench, tags: readonly string[], steps: number): Promise<number> {
  let most = 0;
  for (let i = 0; i < steps; i++) {
    await bench.append(tags[i % tags.length]!, texts(10));
    most = Math.max(most, bench.broker.stats().bytes);
  }
  return most;
}

describe("The room of all logs", () => {
  const logsMaxBytes = 2 * MiB;

  test("is kept to within what one group adds, and the file does not grow on", async () => {
    await using bench = StoreBench.open({ logsMaxBytes });
    const tags = numbers(1, 8).map((n) => `t/${n}`);
    const most = await flood(bench, tags, 400);
    expect(most).toBeLessThanOrEqual(logsMaxBytes + 64 * 1024);
    expect(statSync(bench.path).size).toBeLessThanOrEqual(2 * logsMaxBytes);
    for (const tag of tags) {
      const page = await bench.page(tag);
      expect(page.top).toBe(500);
      expect(offsets(page.messages)).toEqual(numbers(page.oldest, 500));
      expect(page.messages.length).toBeGreaterThan(10);
    }
    await bench.broker.stop();
    expect(checkStore(bench.path).problems).toEqual([]);
  });

  test("is paid for by the log that takes more than its share, not by quiet ones", async () => {
    await using bench = StoreBench.open({ logsMaxBytes });
    await bench.append("quiet", texts(20));
    await bench.append("other", texts(5));
    await flood(bench, ["busy"], 300);
    expect((await bench.page("quiet")).messages).toHaveLength(20);
    expect((await bench.page("other")).messages).toHaveLength(5);
    expect((await bench.page("busy")).oldest).toBeGreaterThan(1000);
  });

  test("is made by the logs used least recently where none takes more than its share, over a restart too", async () => {
    await using bench = StoreBench.open({ logsMaxBytes });
    const tags = numbers(1, 60).map((n) => `t/${n}`);
    for (const tag of tags) await bench.append(tag, texts(10));
    await bench.restart();
    for (const tag of tags.slice(30)) await bench.page(tag);
    for (const n of numbers(1, 50)) await bench.append(`new/${n}`, texts(10));
    await bench.seconds(3);
    const held = await Promise.all(tags.map(async (tag) => (await bench.page(tag)).messages.length));
    expect(held.slice(30).every((count) => count >= 10)).toBe(true);
    expect(held.slice(0, 30).filter((count) => count === 0).length).toBeGreaterThan(5);
    expect(bench.broker.stats().bytes).toBeLessThanOrEqual(logsMaxBytes);
  });

  test("has none for a message that cannot fit alone, and for that one alone", async () => {
    await using bench = StoreBench.open({ logsMaxBytes });
    expect(await bench.append("t", ["x".repeat(logsMaxBytes)])).toEqual({ error: errors.payloadTooLarge });
    expect((await bench.append("t", ["x".repeat(MiB)])).positions).toMatchObject([{ offset: 1 }]);
  });

  test("that was made smaller is come down to, and given back to the disk, a part each second", async () => {
    await using bench = StoreBench.open({ logsMaxBytes: 64 * MiB });
    await flood(bench, ["a", "b"], 1000);
    const size = statSync(bench.path).size;
    expect(size).toBeGreaterThan(10 * MiB);
    await bench.broker.stop();
    await using smaller = StoreBench.open({ logsMaxBytes, path: bench.path });
    const sizes: number[] = [];
    for (let i = 0; i < 60; i++) {
      await smaller.seconds(1);
      sizes.push(smaller.broker.stats().bytes);
    }
    expect(sizes.some((bytes) => bytes > 2 * logsMaxBytes)).toBe(true);
    expect(sizes.at(-1)).toBeLessThanOrEqual(logsMaxBytes);
    await smaller.broker.stop();
    expect(statSync(bench.path).size).toBeLessThan(size / 2);
    expect(checkStore(bench.path).problems).toEqual([]);
  });
});

describe("What a log no longer keeps", () => {
  test("is not seen at once, and is deleted in time", async () => {
    await using bench = StoreBench.open();
    for (let i = 0; i < 3000; i++) void bench.append("t", [`${i}`]);
    await bench.append("t", ["last"]);
    const rule = keeps({ size: 10 });
    expect((await bench.page("t", { rule })).messages.length).toBeLessThanOrEqual(11);
    await bench.seconds(10);
    await bench.broker.stop();
    expect(checkStore(bench.path)).toMatchObject({ messages: 10, problems: [] });
  });

  test("leaves the offsets behind, over a restart too", async () => {
    await using bench = StoreBench.open();
    const rule = keeps({ size: 10, ttlMs: 5000 });
    for (let i = 0; i < 25; i++) await bench.append("t", [`${i}`], rule);
    const { epoch } = await bench.page("t", { rule });
    bench.clock.advance(6000);
    await bench.seconds(2);
    await bench.restart();
    expect(await bench.page("t", { rule })).toMatchObject({ epoch, top: 25, oldest: 26, messages: [] });
    expect((await bench.append("t", ["on"], rule)).positions).toMatchObject([{ epoch, offset: 26 }]);
  });

  test("goes when the time of a rule that nobody brings any more is over, after a restart too", async () => {
    await using bench = StoreBench.open();
    const rule = keeps({ size: 1000, ttlMs: 60_000 });
    for (const n of numbers(1, 20)) await bench.append(`t/${n}`, ["a", "b"], rule);
    await bench.restart();
    bench.clock.advance(70_000);
    await bench.seconds(3);
    await bench.broker.stop();
    expect(checkStore(bench.path)).toMatchObject({ logs: 20, messages: 0, problems: [] });
  });
});

describe("The number of logs", () => {
  test("drops empty ones first, then those used least recently, and what they held", async () => {
    await using bench = StoreBench.open({ logsMax: 4 });
    await bench.append("full", ["a"]);
    const asked = await bench.page("asked");
    for (const tag of ["b", "c", "d"]) await bench.append(tag, texts(5));
    expect((await bench.page("full")).top).toBe(1);
    await bench.append("e", ["x"]);
    await bench.seconds(3);
    expect(bench.broker.stats().logs).toBe(4);
    const { logs } = await bench.broker.logs(main, "#", 10);
    expect(logs.map(({ tag }) => tag).toSorted()).toEqual(["c", "d", "e", "full"]);
    await bench.broker.stop();
    expect(checkStore(bench.path)).toMatchObject({ logs: 4, messages: 12, problems: [] });
    bench.start();
    expect((await bench.page("asked")).epoch).not.toBe(asked.epoch);
  });
});

describe("Keys that are used no more", () => {
  test("are deleted from the file, but for what tells the time", async () => {
    await using bench = StoreBench.open({ idempotencyWindowMs: 5000 });
    for (const n of numbers(1, 300))
      await bench.append("t", [{ body: { bytes: new Uint8Array(8), payloadLength: 8 }, key: `${n}` }]);
    expect(bench.broker.stats().idempotencyKeys).toBe(300);
    const size = bench.broker.stats().bytes;
    bench.clock.advance(6000);
    await bench.seconds(3);
    expect(bench.broker.stats().idempotencyKeys).toBe(0);
    expect(bench.broker.stats().bytes).toBeLessThan(size);
  });
});

describe("tagcast store", () => {
  const program = async (...argv: string[]) => {
    const io = recordedIo();
    const status = await runProgram(["store", ...argv], io);
    return { status, out: io.outLines.join("\n"), err: io.errLines.join("\n") };
  };

  test("check tells what a store holds, also as JSON, and what is wrong with it", async () => {
    await using bench = StoreBench.open();
    await bench.append("t", ["abc", "de"]);
    expect(await program("check", bench.path)).toMatchObject({
      status: 1,
      err: expect.stringContaining("a server uses it"),
    });
    await bench.broker.stop();
    expect(await program("check", bench.path)).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^2 messages of 5 bytes in 1 logs; .*\nNo problems$/),
    });
    const { out } = await program("check", "--json", bench.path);
    expect(JSON.parse(out)).toMatchObject({ logs: 1, messages: 2, bytes: 5, isStopped: true, problems: [] });
    expect(await program("check", `${bench.path}.none`)).toMatchObject({
      status: 1,
      err: expect.stringContaining("There is no such file"),
    });
    expect((await program("check")).err).toContain("say which store");
    expect((await program("chek", bench.path)).err).toContain('did you mean "check"?');
  });

  test("compact gives back what is not used, and tells how far it is", async () => {
    await using bench = StoreBench.open();
    await flood(bench, ["a"], 300);
    await bench.page("a", { rule: keeps({ size: 10 }) });
    expect((await program("compact", bench.path)).err).toContain("a server uses it");
    await bench.seconds(10);
    await bench.broker.stop();
    const size = statSync(bench.path).size;
    const { status, out, err } = await program("compact", bench.path);
    expect({ status, err }).toEqual({ status: 0, err: expect.stringContaining("100%") });
    expect(Number(/^\d+/.exec(out)?.[0])).toBe(size - statSync(bench.path).size);
    expect(statSync(bench.path).size).toBeLessThan(size / 10);
    expect(checkStore(bench.path)).toMatchObject({ freeBytes: 0, problems: [] });
    bench.start();
    expect((await bench.page("a")).top).toBe(3000);
  });

  test("compact leaves a store alone that was not stopped in order", async () => {
    await using bench = StoreBench.open();
    await bench.append("t", ["a"]);
    await bench.kill();
    const refused = await compactStore(bench.path, () => {}).catch(String);
    expect(refused).toContain("It was not stopped in order");
    expect(checkStore(bench.path)).toMatchObject({ isStopped: false, messages: 1 });
  });
});
