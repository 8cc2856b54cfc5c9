/** All logs of a store, by their names and by how recently they were used; bounded in number. */
import type { LogPosition } from "../broker.ts";
import { LogTree } from "../memory/log-tree.ts";
import { RecencyList } from "../memory/recency.ts";
import { StoredLog } from "./log.ts";
import type { Statements } from "./schema.ts";

export class StoredLogs {
  readonly #statements: Statements;
  readonly #logsMax: number;
  readonly #dropped: (log: StoredLog) => void;
  readonly #tree = new LogTree<StoredLog>();
  /** Every log is in one of the two lists; one that was not looked at yet counts as filled. */
  readonly #filled = new RecencyList<StoredLog>();
  readonly #empty = new RecencyList<StoredLog>();
  #nextId: number;
  #round: Iterator<StoredLog, void> = this.#tree.all();

  /** `dropped` is told of each log that there was no room for. */
  constructor(statements: Statements, logsMax: number, dropped: (log: StoredLog) => void) {
    this.#statements = statements;
    this.#logsMax = logsMax;
    this.#dropped = dropped;
    this.#nextId = 1;
  }

  get count(): number {
    return this.#filled.size + this.#empty.size;
  }

  get filled(): number {
    return this.#filled.size;
  }

  /** The one with messages that was used least recently. */
  get leastRecent(): StoredLog | null {
    return this.#filled.oldest;
  }

  /** Takes a log of the file. */
  add(log: StoredLog): void {
    this.#nextId = Math.max(this.#nextId, log.id + 1);
    if (log.isGone) return;
    this.#tree.add(log);
    this.place(log);
  }

  /** The log of a tag, made if there is none: where there is no room an empty one goes, else the one used least recently. */
  open(app: string, tag: string): StoredLog {
    let log = this.#tree.get(app, tag);
    if (log === undefined) {
      while (this.count >= this.#logsMax) {
        const unlucky = this.#empty.oldest ?? this.#filled.oldest;
        if (unlucky === null) break;
        this.#remove(unlucky);
      }
      log = StoredLog.fresh(this.#nextId++, app, tag);
      this.#tree.add(log);
    }
    log.load(this.#statements);
    this.place(log);
    return log;
  }

  /** Marks a log as used now, and knows it by what it holds now. */
  place(log: StoredLog): void {
    if (log.isGone) return;
    log.list?.remove(log);
    log.list = log.length > 0 || (!log.isLoaded && log.top > 0) ? this.#filled : this.#empty;
    log.list.add(log);
  }

  /** As `place` where it is known as holding something else, but not as used. */
  recount(log: StoredLog): void {
    if (!log.isGone && log.list !== (log.length > 0 ? this.#filled : this.#empty)) this.place(log);
  }

  /** The next `count` of all logs, round and round. */
  *someMore(count: number): Generator<StoredLog, void> {
    for (let i = 0; i < count; i++) {
      const next = this.#round.next();
      if (next.done) {
        this.#round = this.#tree.all();
        return;
      }
      yield next.value;
    }
  }

  all(): Generator<StoredLog, void> {
    return this.#tree.all();
  }

  /** Positions of logs that `pattern` matches and that something was appended to, at most `limit`. `look` is shown each before. */
  find(
    { app, pattern, limit }: { readonly app: string; readonly pattern: string; readonly limit: number },
    look: (log: StoredLog) => void,
  ): { logs: LogPosition[]; more: boolean } {
    const logs: LogPosition[] = [];
    for (const log of this.#tree.matching(app, pattern)) {
      if (log.top === 0) continue;
      if (logs.length >= limit) return { logs, more: true };
      log.load(this.#statements);
      look(log);
      this.recount(log);
      logs.push({ tag: log.tag, epoch: log.epoch, top: log.top, oldest: log.oldest });
    }
    return { logs, more: false };
  }

  #remove(log: StoredLog): void {
    log.isGone = true;
    log.list?.remove(log);
    log.list = null;
    this.#tree.remove(log);
    this.#dropped(log);
  }
}
