/** The log of one tag in memory: its epoch, its messages, and what is cut off at the old end. Knows no other log. */
import { newEpoch } from "../../core/position.ts";
import type { TagRule } from "../../core/tag-rule.ts";
import { Ring } from "../../lib/ring.ts";
import type { Body } from "../../wire/messages.ts";
import type { Page, PageLimits, Stored } from "../broker.ts";
import type { KeyedLog, LogKeys } from "./idempotency.ts";
import type { HeardLog } from "./interest.ts";
import type { Linked, RecencyList } from "./recency.ts";

/** What one kept message costs beside its bytes: its object, the header of its bytes and its slot (measured, rounded up). */
export const messageOverheadBytes = 160;

/** A message with the time that its age is counted from. */
interface Kept extends Stored {
  /** Of the monotonic clock: `timeMs` may jump with the wall clock. */
  readonly keptAtMs: number;
}

export class Log implements Linked<Log>, KeyedLog, HeardLog {
  readonly app: string;
  readonly tag: string;
  readonly epoch: number = newEpoch();
  /** Keys belong to the epoch that their positions stand in, so they live and go with the log. Null: none yet. */
  keys: LogKeys | null = null;

  older: Log | null = null;
  newer: Log | null = null;
  /** The list that `older` and `newer` belong to. */
  list: RecencyList<Log> | null = null;
  /** What the sums over all logs include of this one. */
  countedBytes = 0;
  countedMessages = 0;

  matchedByWildcard = false;
  matchedGeneration = -1;

  readonly #messages = new Ring<Kept>();
  #top = 0;
  #bytes = 0;
  #lastTimeMs = 0;
  /** Of the rule seen last, for trimming between calls that bring a rule. */
  #ttlMs = Infinity;

  constructor(app: string, tag: string) {
    this.app = app;
    this.tag = tag;
  }

  get top(): number {
    return this.#top;
  }

  get oldest(): number {
    return this.#top - this.#messages.length + 1;
  }

  get length(): number {
    return this.#messages.length;
  }

  /** What the messages held cost in memory. */
  get costBytes(): number {
    return this.#bytes + this.#messages.length * messageOverheadBytes;
  }

  /** Appends one message. `timeMs` never goes back within a log, whatever the wall clock does. */
  push(body: Body, wallMs: number, nowMs: number): Stored {
    this.#lastTimeMs = Math.max(this.#lastTimeMs, wallMs);
    const kept: Kept = {
      bytes: body.bytes,
      payloadLength: body.payloadLength,
      offset: ++this.#top,
      timeMs: this.#lastTimeMs,
      keptAtMs: nowMs,
    };
    this.#messages.push(kept);
    this.#bytes += body.bytes.length;
    return kept;
  }

  /** Drops what the rule does not keep. The newest message may exceed `bytes` alone. */
  trim(rule: TagRule, nowMs: number): void {
    const size = keptSize(rule);
    const bytes = rule.history?.bytes ?? Infinity;
    while (this.#messages.length > size || (this.#bytes > bytes && this.#messages.length > 1)) this.dropOldest();
    this.#ttlMs = rule.history?.ttlMs ?? Infinity;
    this.trimByAge(nowMs);
  }

  /** Drops what is older than the rule seen last allows. */
  trimByAge(nowMs: number): void {
    if (this.#ttlMs === Infinity) return;
    for (let first = this.#messages.at(0); first; first = this.#messages.at(0)) {
      if (nowMs - first.keptAtMs <= this.#ttlMs) return;
      this.dropOldest();
    }
  }

  dropOldest(): void {
    this.#bytes -= this.#messages.shift()?.bytes.length ?? 0;
  }

  page(after: number, limits: PageLimits): Page {
    const { oldest, epoch } = this;
    const messages: Stored[] = [];
    let bytes = 0;
    for (let i = Math.max(0, after + 1 - oldest); messages.length < limits.count; i++) {
      const message = this.#messages.at(i);
      if (!message) break;
      bytes += message.bytes.length;
      if (bytes > limits.bytes && messages.length > 0) break;
      messages.push(message);
    }
    return { epoch, top: this.#top, oldest, messages };
  }

  /** Lets go of all messages: the log is gone. */
  discard(): void {
    this.#messages.clear();
    this.#bytes = 0;
  }
}

/** Messages that a rule keeps at most, by number; 0: the rule gives no log. */
export function keptSize(rule: TagRule): number {
  return Math.max(rule.history?.size ?? 0, rule.retain ? 1 : 0);
}
