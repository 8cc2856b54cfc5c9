/** A store in a directory of its own, with what its broker logs and tells; for tests of what is on disk. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Appended, Draft, Page } from "../../src/broker/broker.ts";
import type { SqliteBroker, SqliteBrokerOptions } from "../../src/broker/sqlite.ts";
import type { TagRule } from "../../src/core/tag-rule.ts";
import { CollectingFeed, draft, everything, main, roomy } from "../contract/broker/kit.ts";
import { FakeClock } from "./clock.ts";
import { KeptLog, scratchDirectory } from "./server.ts";
import { memoryDirectory, sqliteBroker } from "./sqlite-broker.ts";

export class StoreBench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new KeptLog();
  readonly directory: string;
  /** Of the database. */
  readonly path: string;
  feed = new CollectingFeed();
  /** Of the machine: another one is a power cut. */
  boot = "first";
  readonly #options: Partial<SqliteBrokerOptions>;
  readonly #scratch = scratchDirectory(memoryDirectory);
  #broker: SqliteBroker | null = null;

  constructor(options: Partial<SqliteBrokerOptions> = {}) {
    this.#options = options;
    this.directory = join(this.#scratch.path, "store");
    mkdirSync(this.directory);
    this.path = join(this.directory, "store.db");
  }

  /** With a broker that is started. */
  static open(options: Partial<SqliteBrokerOptions> = {}): StoreBench {
    const bench = new StoreBench(options);
    bench.start();
    return bench;
  }

  get broker(): SqliteBroker {
    if (this.#broker === null) throw new Error("No broker was started");
    return this.#broker;
  }

  get wal(): string {
    return `${this.path}-wal`;
  }

  make(): SqliteBroker {
    const uptime = () => ({ boot: this.boot, ms: this.clock.monotonicMs() });
    return sqliteBroker(this.path, this.clock, { logger: this.log, uptime, ...this.#options });
  }

  start(): void {
    this.#broker = this.make();
    this.feed = new CollectingFeed();
    void this.#broker.start(this.feed);
  }

  async restart(): Promise<void> {
    await this.broker.stop();
    this.start();
  }

  /** What is on disk now is what a new process finds, as if this one had been killed. */
  async kill(): Promise<void> {
    const files = [this.path, this.wal].filter((path) => existsSync(path));
    const bytes = files.map((path) => readFileSync(path));
    await this.broker.stop();
    for (const [i, path] of files.entries()) writeFileSync(path, bytes[i]!);
  }

  async append(tag: string, drafts: readonly (string | Draft)[], rule: TagRule = roomy): Promise<Appended> {
    const list = drafts.map((one) => (typeof one === "string" ? draft(one) : one));
    const [answer] = await this.broker.append([{ app: main, tag, rule, drafts: list }]);
    return answer!;
  }

  async page(tag: string, { after = 0, rule = roomy } = {}): Promise<Page> {
    return await this.broker.history(main, tag, rule, after, everything);
  }

  /** Lets seconds go by, and what is done each second come to its end. */
  async seconds(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.clock.advance(1000);
      await this.broker.append([]);
      await this.broker.logs(main, "nothing", 1);
    }
  }

  /** Names of files beside the database and its write-ahead log. */
  get others(): string[] {
    return readdirSync(this.directory).filter((name) => name !== "store.db" && name !== "store.db-wal");
  }

  copy(name: string): string {
    const path = join(this.#scratch.path, name);
    copyFileSync(this.path, path);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker?.stop();
    this.#scratch[Symbol.dispose]();
  }
}

/** Changes bytes of a file. */
export function overwrite(path: string, change: (bytes: Buffer) => Buffer | void): void {
  const bytes = readFileSync(path);
  writeFileSync(path, change(bytes) ?? bytes);
}
