/**
 * The log of orders to all instances: a capped stream in Redis. Each instance has its position in it and reads on from
 * there, also after it was cut off. Being woken by a message only makes it sooner.
 */
import type { Logger } from "../../../core/logger.ts";
import type { Calls } from "../calls.ts";
import { texts } from "./ledger.ts";

const key = "tc1:{all}:orders";
/** Channel on which all instances hear that something is to be done. */
export const controlChannel = "tc1:{all}:control";
/** Roughly; an instance that was away for longer than they reach back says so in its log. */
const kept = 10_000;
const pageMax = 200;

export class OrderLog {
  readonly #calls: Calls;
  readonly #logger: Logger;
  readonly #handle: (order: unknown) => Promise<void> | void;
  /** Of the last entry that was handled, or that was there when this instance came; null: not known yet. */
  #position: string | null = null;
  #reading: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(calls: Calls, logger: Logger, handle: (order: unknown) => Promise<void> | void) {
    this.#calls = calls;
    this.#logger = logger;
    this.#handle = handle;
  }

  async append(order: unknown): Promise<void> {
    const text = JSON.stringify(order);
    await Promise.all([
      this.#calls.command(["XADD", key, "MAXLEN", "~", String(kept), "*", "o", text]),
      this.#calls.publish(controlChannel, "o"),
    ]);
  }

  /** After connecting: begins at the end, or goes on where it was. */
  async resume(): Promise<void> {
    const [newest] = entriesOf(await this.#calls.command(["XREVRANGE", key, "+", "-", "COUNT", "1"]));
    if (this.#position === null) {
      this.#position = newest?.id ?? "0-0";
      return;
    }
    const [oldest] = entriesOf(await this.#calls.command(["XRANGE", key, "-", "+", "COUNT", "1"]));
    const isRewound = compare(newest?.id ?? "0-0", this.#position) < 0;
    if (isRewound || (oldest !== undefined && compare(oldest.id, this.#position) > 0 && this.#position !== "0-0")) {
      this.#logger.warn("orders to all instances may have been lost while Redis was away");
    }
    if (isRewound) this.#position = "0-0";
    await this.read();
  }

  /** Settles once all that was ordered before is done here, as far as it is done at once. */
  read(): Promise<void> {
    if (this.#reading === null) return this.#begin();
    // What is under way may not reach as far as now.
    this.#next ??= this.#reading
      .catch(() => {})
      .then(() => {
        this.#next = null;
        return this.#begin();
      });
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#reading = this.#readAll().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    while (this.#position !== null) {
      const page = entriesOf(
        await this.#calls.command(["XRANGE", key, `(${this.#position}`, "+", "COUNT", String(pageMax)]),
      );
      for (const { id, text } of page) {
        this.#position = id;
        await this.#order(text);
      }
      if (page.length < pageMax) return;
    }
  }

  async #order(text: string): Promise<void> {
    try {
      await this.#handle(JSON.parse(text));
    } catch (error) {
      this.#logger.warn("an order was not carried out", { error });
    }
  }
}

interface Entry {
  readonly id: string;
  readonly text: string;
}

function entriesOf(reply: unknown): Entry[] {
  if (!Array.isArray(reply)) return [];
  return reply.map((entry: unknown) => {
    const [id, fields] = entry as [unknown, unknown];
    return { id: String(id), text: texts(fields)[1] ?? "null" };
  });
}

function compare(a: string, b: string): number {
  const [aMs = 0, aCount = 0] = a.split("-").map(Number);
  const [bMs = 0, bCount = 0] = b.split("-").map(Number);
  return aMs - bMs || aCount - bCount;
}
