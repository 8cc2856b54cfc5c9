/** Which idempotency keys were used, for as long as the window lasts. A key belongs to one log, and so to one tag and epoch. */
import { Ring } from "../../lib/ring.ts";
import type { Log, UsedKey } from "./log.ts";

export interface IdempotencyBounds {
  readonly idempotencyWindowMs: number;
  /** Keys remembered in total; beyond it the oldest is forgotten before its window ends. */
  readonly idempotencyKeysMax: number;
}

/** Keys that one use may forget: more than it adds, so the rest of an expired crowd goes soon, and no use waits for all of it. */
const forgottenPerUse = 2;

export class IdempotencyKeys {
  readonly #bounds: IdempotencyBounds;
  /** In order of use, which is also the order in which they expire. */
  readonly #used = new Ring<UsedKey>();

  constructor(bounds: IdempotencyBounds) {
    this.#bounds = bounds;
  }

  /** Keys remembered. */
  get count(): number {
    return this.#used.length;
  }

  /** Offset of the message that `key` was used for within the window, or 0. */
  find(log: Log, key: string, nowMs: number): number {
    const used = log.keys?.get(key);
    return used && !this.#isExpired(used, nowMs) ? used.offset : 0;
  }

  /** Remembers that `key` was used for the message at `offset`. */
  add(log: Log, key: string, offset: number, nowMs: number): void {
    this.expire(forgottenPerUse, nowMs);
    while (this.#used.length >= this.#bounds.idempotencyKeysMax) this.#forgetOldest();
    const used: UsedKey = { log, key, offset, usedAtMs: nowMs };
    log.keys ??= new Map();
    log.keys.set(key, used);
    this.#used.push(used);
  }

  /** Forgets up to `count` keys whose window has ended. */
  expire(count: number, nowMs: number): void {
    for (let i = 0; i < count; i++) {
      const oldest = this.#used.at(0);
      if (!oldest || !this.#isExpired(oldest, nowMs)) return;
      this.#forgetOldest();
    }
  }

  #isExpired(used: UsedKey, nowMs: number): boolean {
    return nowMs - used.usedAtMs >= this.#bounds.idempotencyWindowMs;
  }

  #forgetOldest(): void {
    const used = this.#used.shift();
    // A key that was used again after its window stands for the later message.
    if (!used || used.log.keys?.get(used.key) !== used) return;
    used.log.keys.delete(used.key);
    if (used.log.keys.size === 0) used.log.keys = null;
  }
}
