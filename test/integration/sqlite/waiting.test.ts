/** What waits for the disk, and what does not; and a disk that takes what it then does not keep. */
import { describe, expect, test } from "bun:test";
import { errors } from "../../../src/core/codes.ts";
import { draft, main, numbered, offsets, texts } from "../../contract/broker/kit.ts";
import { StoreBench } from "../../harness/store.ts";

/** A disk whose syncs a test lets go, or makes fail, one by one. */
class SlowDisk {
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #asked: (() => void)[] = [];
  #isSlow = false;

  readonly flush = (): Promise<void> => {
    if (!this.#isSlow) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ resolve, reject });
    for (const asked of this.#asked.splice(0)) asked();
    return promise;
  };

  begin(): void {
    this.#isSlow = true;
  }

  /** Settles once a sync waits. */
  async asked(): Promise<void> {
    if (this.#waiting.length === 0) await new Promise<void>((resolve) => this.#asked.push(resolve));
  }

  release(): void {
    this.#waiting.shift()?.resolve();
  }

  fail(): void {
    const error = Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO", syscall: "fdatasync" });
    this.#waiting.shift()?.reject(error);
  }
}

async function slow(): Promise<{ bench: StoreBench; disk: SlowDisk }> {
  const disk = new SlowDisk();
  const bench = StoreBench.open({ flush: disk.flush });
  await bench.append("t", ["before"]);
  disk.begin();
  return { bench, disk };
}

/** Turns enough for everything that does not wait for the disk. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

describe("Until the disk has a message", () => {
  test("its publisher is not answered, subscribers are not told, and readers of logs wait", async () => {
    const { bench, disk } = await slow();
    await using _ = bench;
    await bench.broker.subscribe(main, "#");
    const settled: string[] = [];
    const append = bench.append("t", ["a"]).then((answer) => (settled.push("append"), answer));
    const page = bench.page("t").then((read) => (settled.push("page"), read));
    const logs = Promise.resolve(bench.broker.logs(main, "#", 10)).then(() => settled.push("logs"));
    await disk.asked();
    await turns();
    expect(settled).toEqual([]);
    expect(bench.feed.events).toEqual([]);
    expect(bench.broker.ready()).toBe(true);
    disk.release();
    expect((await append).positions).toMatchObject([{ offset: 2 }]);
    expect(texts((await page).messages)).toEqual(["before", "a"]);
    await logs;
    expect(texts(bench.feed.seen("t"))).toEqual(["a"]);
  });

  test("what is published gathers, and goes to the disk together", async () => {
    const { bench, disk } = await slow();
    await using _ = bench;
    const { commits } = bench.broker.stats().store;
    const first = bench.append("t", ["a"]);
    await disk.asked();
    const rest = numbered(1, 50).map((text) => bench.append("t", [draft(text, text)]));
    // The same again, before the first is known to be kept.
    const again = bench.append("t", [draft("m7", "m7")]);
    disk.release();
    await first;
    await disk.asked();
    disk.release();
    const positions = (await Promise.all(rest)).flatMap((answer) => answer.positions!);
    expect(offsets(positions)).toEqual(Array.from({ length: 50 }, (_, i) => i + 3));
    expect((await again).positions).toEqual([{ ...positions[6]!, repeated: true }]);
    expect(bench.broker.stats().store.commits - commits).toBe(2);
  });
});

describe("Where the disk does not keep what it took", () => {
  test("the outcome is unknown, logs are neither written nor read, and the next start has what is there", async () => {
    const { bench, disk } = await slow();
    await using _ = bench;
    const doubtful = bench.append("t", [draft("doubtful", "k")]);
    await disk.asked();
    const waiting = bench.append("t", ["waiting"]);
    disk.fail();
    expect(await doubtful).toEqual({ error: errors.outcomeUnknown });
    expect(await waiting).toEqual({ error: errors.unavailable });
    expect(bench.broker.ready()).toBe(false);
    expect(await bench.append("t", ["refused"])).toEqual({ error: errors.unavailable });
    expect(await bench.page("t").catch((error: unknown) => error)).toMatchObject({ code: errors.unavailable });
    expect(bench.broker.stats().store.trouble).toContain("The disk failed to take what was written");
    // It does not heal by itself: a later success would say nothing of what was lost.
    bench.clock.advance(60_000);
    await turns();
    expect(bench.broker.ready()).toBe(false);
    expect(bench.log.of("the store does not work, publishes to logs are refused")).toHaveLength(1);
  });
});
