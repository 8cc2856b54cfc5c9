/**
 * Connections counted over all instances. What an instance counts stands under its incarnation in Redis and holds as long as
 * its lease: nothing needs to be taken back for one that has died.
 */
import type { SharedCounts } from "../../../core/shared.ts";
import { ByteWriter } from "../../../lib/byte-writer.ts";
import type { Clock } from "../../../lib/clock.ts";
import type { Calls } from "../calls.ts";
import { scripts } from "../scripts.ts";
import { leaseMs } from "../lease.ts";
import { keptMs } from "./roster.ts";

/** A connection does not wait longer than this for what the others say. */
const answerMs = 1000;
/** How long until it is looked again whether an instance that counts is alive. */
const againMs = 200;
/** Replies of the script; others say when it was first asked. */
const admitted = 1;
const refused = 0;

export interface CountsParts {
  readonly calls: Calls;
  readonly clock: Clock;
  /** Of the lease that the counts hang on. */
  readonly incarnation: () => string;
}

export class RedisCounts implements SharedCounts {
  readonly #parts: CountsParts;
  readonly #writer = new ByteWriter();
  /** To be told at the end of the turn. */
  readonly #changes = new Map<string, number>();
  #counts: () => Iterable<readonly [string, number]> = () => [];
  /** The incarnation that Redis knows the counts of, if they are not in doubt. */
  #told = "";
  #recounts = 0;

  constructor(parts: CountsParts) {
    this.#parts = parts;
  }

  onRecount(counts: () => Iterable<readonly [key: string, count: number]>): void {
    this.#counts = counts;
  }

  async acquire(key: string, max: number): Promise<boolean> {
    const recounts = this.#recounts;
    const isAdmitted = await this.#admitted(key, max);
    // What was counted anew meanwhile had this one in it already.
    if (recounts !== this.#recounts) this.#doubt();
    return isAdmitted;
  }

  async #admitted(key: string, max: number): Promise<boolean> {
    let asked: number | null = 0;
    for (;;) {
      asked = await this.#ask(key, max, asked);
      // Without an answer it is counted here, and told to the others when they are there again.
      if (asked === null || asked === admitted) return true;
      if (asked === refused) return false;
      // Whoever comes from an instance that has just died is not refused for what it held there.
      await new Promise<void>((resolve) => this.#parts.clock.after(againMs, resolve));
    }
  }

  /** The reply, or null where there is none in time. */
  async #ask(key: string, max: number, asked: number): Promise<number | null> {
    const { calls, clock } = this.#parts;
    if (!calls.open) return null;
    const late = Promise.withResolvers<null>();
    const deadline = clock.after(answerMs, () => late.resolve(null));
    const args = [key, String(max), String(leaseMs), asked.toFixed(0)];
    const reply = await Promise.race([this.#send("acquire", args).catch(() => null), late.promise]);
    deadline.cancel();
    if (reply === null) this.#doubt();
    return reply as number | null;
  }

  add(key: string, count: number): void {
    if (this.#changes.size === 0) queueMicrotask(() => this.#flush());
    this.#changes.set(key, (this.#changes.get(key) ?? 0) + count);
  }

  /** Each second, and after connecting: tells everything anew where Redis may not know it. */
  async beat(): Promise<void> {
    if (this.#told !== this.#parts.incarnation()) await this.recount();
  }

  async recount(): Promise<void> {
    const incarnation = this.#parts.incarnation();
    this.#told = incarnation;
    this.#recounts++;
    this.#changes.clear();
    const counts = [...this.#counts()].flatMap(([key, count]) => [key, String(count)]);
    await this.#send("recount", counts).catch((error: unknown) => {
      this.#doubt();
      throw error;
    });
  }

  #doubt(): void {
    this.#told = "";
  }

  #flush(): void {
    const changes = [...this.#changes].filter(([, count]) => count !== 0);
    this.#changes.clear();
    if (changes.length === 0) return;
    const args = changes.flatMap(([key, count]) => [key, String(count)]);
    this.#send("add", args).catch(() => this.#doubt());
  }

  #send(what: string, args: readonly string[]): Promise<unknown> {
    const { calls, incarnation } = this.#parts;
    calls.begin(this.#writer);
    return calls.send(scripts.counts, "all", this.#writer, [incarnation(), String(keptMs), what, ...args]);
  }
}
