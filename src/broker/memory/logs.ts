/** All logs of the process, within bounds of number and memory: decides which log pays when there is no room. */
import type { TagRule } from "../../core/tag-rule.ts";
import { hasWildcard, matches } from "../../core/tag.ts";
import type { LogPosition } from "../broker.ts";
import { Log } from "./log.ts";
import { RecencyList } from "./recency.ts";

export interface LogBounds {
  /** Bytes that the messages of all logs may take together. */
  readonly logsMaxBytes: number;
  /** Logs, with or without messages. */
  readonly logsMax: number;
}

export class Logs {
  readonly #bounds: LogBounds;
  readonly #apps = new Map<string, Map<string, Log>>();
  /** Every log is in one of the two lists. */
  readonly #filled = new RecencyList<Log>();
  readonly #empty = new RecencyList<Log>();
  #costBytes = 0;
  #messages = 0;
  #sweep: Iterator<Log> = this.#all();

  constructor(bounds: LogBounds) {
    this.#bounds = bounds;
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
    const known = this.#apps.get(app)?.get(tag);
    if (known) return known;
    while (this.count >= this.#bounds.logsMax) {
      const unlucky = this.#empty.oldest ?? this.#filled.oldest;
      if (!unlucky) break;
      this.#remove(unlucky);
    }
    const log = new Log(app, tag);
    let tags = this.#apps.get(app);
    if (!tags) this.#apps.set(app, (tags = new Map()));
    tags.set(tag, log);
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
        this.#sweep = this.#all();
        return;
      }
      next.value.trimByAge(nowMs);
      this.#recount(next.value);
    }
  }

  /** Positions of the logs that `pattern` matches and that something was appended to, at most `limit`. */
  find(app: string, pattern: string, limit: number, nowMs: number): { logs: LogPosition[]; more: boolean } {
    const tags = this.#apps.get(app);
    const logs: LogPosition[] = [];
    if (!tags) return { logs, more: false };
    const exact = hasWildcard(pattern) ? null : tags.get(pattern);
    const candidates = exact === null ? tags.values() : exact ? [exact] : [];
    const literal = literalPrefix(pattern);
    for (const log of candidates) {
      if (log.top === 0 || !log.tag.startsWith(literal) || !matches(pattern, log.tag)) continue;
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
    const tags = this.#apps.get(log.app);
    tags?.delete(log.tag);
    if (tags?.size === 0) this.#apps.delete(log.app);
  }

  /** Goes on rightly while logs come and go between two steps: iterators of maps do. */
  *#all(): Generator<Log> {
    for (const tags of this.#apps.values()) yield* tags.values();
  }
}

/** What every tag that `pattern` matches begins with: a cheap test before the exact one. */
function literalPrefix(pattern: string): string {
  const wildcard = pattern.search(/[+#]/);
  if (wildcard < 0) return pattern;
  // "a/#" matches "a" too, so the slash before the wildcard does not count.
  return pattern.slice(0, Math.max(0, wildcard - 1));
}
