/**
 * How far this instance has served the log of one tag. `top` is the position up to which the native topics have been
 * served; while somebody lags behind it, `tail` keeps the newest messages in memory, shared by all who lag.
 *
 *   log      1 … … … … … … … … … … … top          (broker)
 *   tail                     [t … … … top]          (here, at most 1 MiB, only while somebody lags)
 *   sinks        cursor ──▶ pages from the broker ──▶ tail ──▶ live
 */
import type { Stored } from "../broker/broker.ts";
import { Ring } from "../lib/ring.ts";

/** Bytes of bodies that a tail keeps. */
const tailBytesMax = 1024 * 1024;
/** Bytes of bodies that the tails of one application keep together. */
export const tailsBytesMax = 64 * 1024 * 1024;

/** What the tails of one application hold. */
export interface TailBudget {
  bytes: number;
}

export class Tail {
  /** Offset of the first message held; with none held, of the next one to come. */
  start: number;
  readonly #budget: TailBudget;
  readonly #messages = new Ring<Stored>();
  #bytes = 0;

  constructor(top: number, budget: TailBudget) {
    this.start = top + 1;
    this.#budget = budget;
  }

  /** Where the budget of all is spent the tail begins anew: whoever lags behind it reads pages from the broker. */
  push(message: Stored): void {
    this.#messages.push(message);
    this.#count(message.bytes.length);
    while (this.#bytes > tailBytesMax && this.#messages.length > 1) {
      this.#count(-(this.#messages.shift() as Stored).bytes.length);
      this.start++;
    }
    if (this.#budget.bytes > tailsBytesMax) this.reset(message.offset);
  }

  /** Forgets everything: the next message will be `top + 1`. */
  reset(top: number): void {
    this.#messages.clear();
    this.#count(-this.#bytes);
    this.start = top + 1;
  }

  /** Whether the tail has everything after `cursor`. */
  reaches(cursor: number): boolean {
    return cursor + 1 >= this.start;
  }

  /** The message at `offset`, which the tail must reach, or null beyond its end. */
  at(offset: number): Stored | null {
    return this.#messages.at(offset - this.start) ?? null;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.bytes += bytes;
  }
}

export class LocalLog {
  epoch: number;
  top: number;
  /**
   * `opening`: the position is being read. `repairing`: messages that the feed did not bring are being read.
   * In both the feed's messages are only noted: the log has them.
   */
  state: "opening" | "live" | "repairing";
  /** Whether the feed brought something while the log was being read. */
  news = false;
  tail: Tail | null = null;
  /** Subscribers whose position is being read. */
  openings = 0;
  #readers = 0;

  constructor(state: LocalLog["state"], epoch: number, top: number) {
    this.state = state;
    this.epoch = epoch;
    this.top = top;
  }

  /** Whether somebody depends on this object: it must not be forgotten. */
  get busy(): boolean {
    return this.#readers > 0 || this.openings > 0 || this.state !== "live";
  }

  /** Somebody lags behind `top`, and is to get everything. */
  attach(budget: TailBudget): void {
    this.#readers++;
    this.tail ??= new Tail(this.top, budget);
  }

  detach(): void {
    if (--this.#readers > 0) return;
    this.tail?.reset(this.top);
    this.tail = null;
  }

  /** `message` at `top + 1` is being served. */
  advance(message: Stored): void {
    this.top = message.offset;
    this.tail?.push(message);
  }

  /** What lies between is lost, or belongs to another epoch. */
  jump(epoch: number, top: number): void {
    this.epoch = epoch;
    this.top = top;
    this.tail?.reset(top);
  }
}
