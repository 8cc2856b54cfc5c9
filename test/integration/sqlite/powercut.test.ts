/**
 * Power cuts, on what would be on the disk then: of what was written after the last sync any sector may be there or not. At each
 * such moment of a run the disk is made, a store is opened on it, and what was acknowledged until then is looked for.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, fdatasync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AppendedPosition } from "../../../src/broker/broker.ts";
import type { Durability } from "../../../src/broker/sqlite/run.ts";
import { checkStore } from "../../../src/broker/sqlite/tool.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { draft, everything, keeps, main, roomy, text } from "../../contract/broker/kit.ts";
import { createRandom, type Random } from "../../harness/random.ts";
import { scratchDirectory } from "../../harness/server.ts";
import { memoryDirectory, sqliteBroker } from "../../harness/sqlite-broker.ts";
import { StoreBench } from "../../harness/store.ts";

const scratch = scratchDirectory(memoryDirectory);
afterAll(() => scratch[Symbol.dispose]());
const sectorBytes = 512;
const empty = Buffer.alloc(0);

const rules = { all: roomy, few: keeps({ size: 5 }), bytes: keeps({ size: 1000, bytes: 4000 }) } as const;
const tags = ["all/1", "all/2", "few/1", "few/2", "bytes/1"] as const;
const ruleOf = (tag: string) => rules[tag.split("/")[0] as keyof typeof rules];

interface Acknowledged extends AppendedPosition {
  readonly tag: string;
  readonly key: string;
}

/** What was found at a power cut. */
interface Cut {
  readonly lost: number;
  readonly violations: readonly string[];
}

class Disk {
  readonly cuts: Cut[] = [];
  readonly acknowledged: Acknowledged[] = [];
  readonly #durable = new Map<string, Buffer>();
  readonly #random: Random;
  readonly #bench: StoreBench;
  readonly #cutsMax: number;
  #count = 0;

  constructor(random: Random, durability: Durability, cutsMax: number) {
    this.#random = random;
    this.#cutsMax = cutsMax;
    this.#bench = new StoreBench({ durability, logsMaxBytes: 1 << 20, flush: (file, path) => this.#flush(file, path) });
  }

  async run(turns: number): Promise<void> {
    await using bench = this.#bench;
    // The store was there before: that it is made whole or not at all is another matter.
    bench.start();
    await bench.restart();
    for (const path of [bench.path, bench.wal]) this.#durable.set(path, contentOf(path));
    let number = 0;
    for (let turn = 0; turn < turns; turn++) {
      const appends = Array.from({ length: 1 + this.#random.int(3) }, () => this.#append(bench, `k${++number}`));
      if (this.#random.chance(0.2)) bench.clock.advance(1000);
      await Promise.all(appends);
      // A cut of power while nothing is under way.
      if (this.#random.chance(0.1)) await this.#cut();
    }
  }

  async #append(bench: StoreBench, key: string): Promise<void> {
    const tag = this.#random.pick(tags);
    const drafts = [draft(`${key} ${"x".repeat(this.#random.int(3000))}`, key)];
    const [answer] = await bench.broker.append([{ app: main, tag, rule: ruleOf(tag), drafts }]);
    this.acknowledged.push({ ...answer!.positions![0]!, tag, key });
  }

  async #flush(file: number, path: string): Promise<void> {
    const bytes = contentOf(path);
    if (this.#random.chance(0.5)) await this.#cut();
    await new Promise<void>((done, failed) => fdatasync(file, (error) => (error ? failed(error) : done())));
    this.#durable.set(path, bytes);
    if (this.#random.chance(0.2)) await this.#cut();
  }

  /** Makes the disk as it may be now, and looks at what a start finds on it. */
  async #cut(): Promise<void> {
    if (this.#count >= this.#cutsMax) return;
    const directory = join(scratch.path, `cut-${this.#random.seed}-${++this.#count}`);
    mkdirSync(directory);
    const path = join(directory, "store.db");
    const { path: from, wal } = this.#bench;
    writeFileSync(path, this.#torn(from, 0));
    // Before the first frame of a new round SQLite syncs the header itself.
    writeFileSync(`${path}-wal`, this.#torn(wal, 32));
    this.cuts.push(await this.#found(path));
    rmSync(directory, { recursive: true });
  }

  /** A file as of the last sync, and any of the sectors that have changed since. The first bytes are those of now. */
  #torn(path: string, headBytes: number): Buffer {
    const now = contentOf(path);
    const before = this.#durable.get(path) ?? empty;
    const keptShare = this.#random.pick([0, 0.1, 0.5, 0.9, 1]);
    const length = this.#random.chance(0.5) ? Math.max(now.length, before.length) : before.length;
    const torn = Buffer.alloc(length);
    before.copy(torn);
    for (let at = 0; at < length; at += sectorBytes) {
      const sector = now.subarray(at, at + sectorBytes);
      if (!sector.equals(before.subarray(at, at + sectorBytes)) && this.#random.chance(keptShare))
        sector.copy(torn, at);
    }
    now.copy(torn, 0, 0, Math.min(headBytes, now.length));
    return torn;
  }

  async #found(path: string): Promise<Cut> {
    const until = [...this.acknowledged];
    const violations = [...structural(path)];
    const uptime = () => ({ boot: "second", ms: 0 });
    const broker = sqliteBroker(path, this.#bench.clock, { logger: silentLogger, logsMaxBytes: 1 << 20, uptime });
    let lost = 0;
    await broker.start({ messages() {}, presence() {}, relayed() {}, resynced() {} });
    if (broker.stats().store.setAside > 0) violations.push("it was taken for damaged");
    for (const tag of tags) {
      const page = await broker.history(main, tag, ruleOf(tag), 0, everything);
      const keys = page.messages.map((message) => text(message).split(" ")[0]);
      if (new Set(keys).size < keys.length) violations.push(`${tag}: something is there twice`);
      for (const { epoch, offset, key } of until.filter((one) => one.tag === tag)) {
        const isHonoured = page.previous?.epoch === epoch && page.previous.offset >= offset;
        const isTold = epoch !== page.epoch && !isHonoured;
        if (page.top < offset) lost++;
        if (page.top < offset && !isTold)
          violations.push(`${tag}: ${key} was acknowledged at ${offset}, the log ends at ${page.top}`);
        const at = keys[offset - page.oldest];
        if (offset >= page.oldest && offset <= page.top && at !== key)
          violations.push(`${tag}: ${offset} is ${at}, not ${key}`);
      }
    }
    await broker.stop();
    return { lost, violations };
  }
}

function contentOf(path: string): Buffer {
  return existsSync(path) ? readFileSync(path) : empty;
}

function structural(path: string): readonly string[] {
  const { problems } = checkStore(path);
  return problems.filter((problem) => !problem.includes("write-ahead log"));
}

describe("At a power cut", () => {
  const seeds = Array.from({ length: 4 }, () => createRandom().seed);

  test.each(seeds)(
    "nothing acknowledged is lost, whatever of the rest was written (seed %d)",
    async (seed) => {
      const disk = new Disk(createRandom(seed), "full", 80);
      await disk.run(150);
      expect(disk.cuts.length).toBeGreaterThan(50);
      expect(disk.acknowledged.length).toBeGreaterThan(150);
      expect(disk.cuts.flatMap(({ violations }) => violations)).toEqual([]);
      expect(disk.cuts.every(({ lost }) => lost === 0)).toBe(true);
    },
    120_000,
  );

  test("what a store that does not wait for the disk has lost is told by new epochs", async () => {
    const disk = new Disk(createRandom(), "normal", 60);
    await disk.run(400);
    expect(disk.cuts.flatMap(({ violations }) => violations)).toEqual([]);
    expect(disk.cuts.some(({ lost }) => lost > 0)).toBe(true);
  }, 120_000);
});
