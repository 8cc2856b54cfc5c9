/** All logs of the process, within bounds of number and memory: decides which log pays when there is no room. */
import type { TagRule } from "../../core/tag-rule.ts";
import type { LogPosition } from "../broker.ts";
import { Log } from "./log.ts";
import { LogTree } from "./log-tree.ts";
import { RecencyList } from "./recency.ts";

export interface LogBounds {
  /** Bytes that the messages of all logs may take together. */
  readonly logsMaxBytes: number;
  /** Logs, with or without messages. */
  readonly logsMax: number;
}

export class Logs {
  readonly #bounds: LogBounds;
  readonly #dropped: (log: Log) => void;
  readonly #tree = new LogTree<Log>();
  /** Every log is in one of the two lists. */
  readonly #filled = new RecencyList<Log>();
  readonly #empty = new RecencyList<Log>();
  #costBytes = 0;
  #messages = 0;
  #sweep: Iterator<Log, void> = this.#tree.all();

  /** `dropped` is told of each log that there was no room for. */
  constructor(bounds: LogBounds, dropped: (log: Log) => void) {
    this.#bounds = bounds;
    this.#dropped = dropped;
  }

  /** Logs, with or without messages. */
  get count(): number {
    return this.#filled.size + this.#empty.size;
  }

  get messages(): number {
    return this.#messages;
  }

  get costBytes(): number {
    return this.#costBytes;
  }

  /**
   * The log of a tag, made if there is none. Where there is no room for another log the least recently used one without
   * messages goes, else the least recently used one; its next use begins a new epoch.
   */
  open(app: string, tag: string): Log {
    const known = this.#tree.get(app, tag);
    if (known) return known;
    while (this.count >= this.#bounds.logsMax) {
      const unlucky = this.#empty.oldest ?? this.#filled.oldest;
      if (!unlucky) break;
      this.#remove(unlucky);
    }
    const log = new Log(app, tag);
    this.#tree.add(log);
    this.#place(log, this.#empty);
    return log;
  }

  /** After messages were pushed: trims the log by its rule, counts it, and marks it as used now. */
  use(log: Log, rule: TagRule, nowMs: number): void {
    log.trim(rule, nowMs);
    this.#recount(log);
    if (log.list) this.#place(log, log.list);
  }

  /**
   * Drops oldest messages until all logs fit their bound. `appended`, just used, pays while it takes more than its fair
   * share, so that one busy tag does not push the others out; else the least recently used logs pay. Its newest message stays.
   */
  makeRoom(appended: Log): void {
    while (this.#costBytes > this.#bounds.logsMaxBytes) {
      const greedy = appended.length > 1 && appended.costBytes * this.#filled.size > this.#bounds.logsMaxBytes;
      const payer = greedy ? appended : this.#filled.oldest;
      if (!payer) return;
      payer.dropOldest();
      this.#recount(payer);
    }
  }

  /** Trims by age up to `count` logs, going round all of them from call to call. */
  sweep(count: number, nowMs: number): void {
    for (let i = 0; i < count; i++) {
      const next = this.#sweep.next();
      if (next.done) {
        this.#sweep = this.#tree.all();
        return;
      }
      next.value.trimByAge(nowMs);
      this.#recount(next.value);
    }
  }

  /** Positions of the logs that `pattern` matches and that something was appended to, at most `limit`. */
  find(app: string, pattern: string, limit: number, nowMs: number): { logs: LogPosition[]; more: boolean } {
    const logs: LogPosition[] = [];
    for (const log of this.#tree.matching(app, pattern)) {
      if (log.top === 0) continue;
      if (logs.length >= limit) return { logs, more: true };
      log.trimByAge(nowMs);
      this.#recount(log);
      logs.push({ tag: log.tag, epoch: log.epoch, top: log.top, oldest: log.oldest });
    }
    return { logs, more: false };
  }

  /** Brings the sums and the lists in line with what the log holds now. */
  #recount(log: Log): void {
    this.#costBytes += log.costBytes - log.countedBytes;
    this.#messages += log.length - log.countedMessages;
    log.countedBytes = log.costBytes;
    log.countedMessages = log.length;
    const list = log.length > 0 ? this.#filled : this.#empty;
    if (log.list !== list) this.#place(log, list);
  }

  #place(log: Log, list: RecencyList<Log>): void {
    log.list?.remove(log);
    list.add(log);
    log.list = list;
  }

  #remove(log: Log): void {
    log.discard();
    this.#recount(log);
    log.list?.remove(log);
    log.list = null;
    this.#tree.remove(log);
    this.#dropped(log);
  }
}
