/**
 * Which idempotency keys were used, for as long as the window lasts. A key belongs to one log, and so to one tag and epoch.
 * Where there is no room the logs with the most keys pay, so that who floods one tag does not shorten the window of others.
 */
import { Ring } from "../../lib/ring.ts";
import { type Linked, RecencyList } from "./recency.ts";

export interface IdempotencyBounds {
  readonly idempotencyWindowMs: number;
  /** Keys remembered in total. */
  readonly idempotencyKeysMax: number;
}

/** A log as its keys know it. */
export interface KeyedLog {
  /** Null: none yet. */
  keys: LogKeys | null;
}

/** The keys that were used in one log. */
export interface LogKeys extends Linked<LogKeys> {
  readonly log: KeyedLog;
  readonly byName: Map<string, UsedKey>;
  /** In order of use; may hold keys that `byName` has a later use of. */
  readonly order: Ring<UsedKey>;
  /** The list of `#crowds` that this is in. */
  crowd: RecencyList<LogKeys> | null;
}

interface UsedKey extends Linked<UsedKey> {
  readonly of: LogKeys;
  readonly key: string;
  readonly offset: number;
  /** Of the monotonic clock. */
  readonly usedAtMs: number;
}

/** Keys that one use may forget: more than it adds, so the rest of an expired crowd goes soon, and no use waits for all of it. */
const forgottenPerUse = 2;
/** More than the binary digits of any number of keys. */
const crowds = 33;

export class IdempotencyKeys {
  readonly #bounds: IdempotencyBounds;
  /** All of them in order of use, which is also the order in which they expire. */
  readonly #used = new RecencyList<UsedKey>();
  /** Logs by the binary digits of the number of their keys: one with the most keys is found in the last that is not empty. */
  readonly #crowds = Array.from({ length: crowds }, () => new RecencyList<LogKeys>());
  /** Logs that were dropped: nobody can find their keys. */
  readonly #dropped = new RecencyList<LogKeys>();
  #forgotten = 0;

  constructor(bounds: IdempotencyBounds) {
    this.#bounds = bounds;
  }

  /** Keys remembered. */
  get count(): number {
    return this.#used.size;
  }

  /** Keys that were forgotten before their window ended, as there was no room for them or for their log. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Offset of the message that `key` was used for within the window, or 0. */
  find(log: KeyedLog, key: string, nowMs: number): number {
    const used = log.keys?.byName.get(key);
    return used && !this.#isExpired(used, nowMs) ? used.offset : 0;
  }

  /** Remembers that `key` was used for the message at `offset`. */
  add(log: KeyedLog, key: string, offset: number, nowMs: number): void {
    this.expire(forgottenPerUse, nowMs);
    // Where any has expired there is room by now.
    while (this.#used.size >= this.#bounds.idempotencyKeysMax) this.#makeRoom();
    log.keys ??= { log, byName: new Map(), order: new Ring(), crowd: null, older: null, newer: null };
    const of = log.keys;
    const used: UsedKey = { of, key, offset, usedAtMs: nowMs, older: null, newer: null };
    const expired = of.byName.get(key);
    if (expired) this.#used.remove(expired);
    of.byName.set(key, used);
    of.order.push(used);
    this.#used.add(used);
    this.#place(of);
  }

  /** Forgets up to `count` keys whose window has ended. */
  expire(count: number, nowMs: number): void {
    for (let i = 0; i < count; i++) {
      const { oldest } = this.#used;
      if (!oldest || !this.#isExpired(oldest, nowMs)) return;
      this.#forgetOldest(oldest.of);
    }
  }

  /** The log is gone, and what its keys stood for with it. */
  drop(log: KeyedLog): void {
    if (!log.keys) return;
    this.#forgotten += log.keys.byName.size;
    this.#move(log.keys, this.#dropped);
    log.keys = null;
  }

  #isExpired(used: UsedKey, nowMs: number): boolean {
    return nowMs - used.usedAtMs >= this.#bounds.idempotencyWindowMs;
  }

  #makeRoom(): void {
    const dropped = this.#dropped.oldest;
    if (dropped) return this.#forgetOldest(dropped);
    const crowd = this.#crowds.findLast(({ size }) => size > 0);
    if (!crowd?.oldest) return;
    this.#forgetOldest(crowd.oldest);
    this.#forgotten++;
  }

  #forgetOldest(of: LogKeys): void {
    let used = of.order.shift();
    // A key that was used again after its window stands for the later message.
    while (used && of.byName.get(used.key) !== used) used = of.order.shift();
    if (!used) return;
    of.byName.delete(used.key);
    this.#used.remove(used);
    this.#place(of);
  }

  #place(of: LogKeys): void {
    const { size } = of.byName;
    if (size === 0) {
      this.#move(of, null);
      if (of.log.keys === of) of.log.keys = null;
    } else if (of.crowd !== this.#dropped) this.#move(of, this.#crowds[32 - Math.clz32(size)] ?? null);
  }

  #move(of: LogKeys, crowd: RecencyList<LogKeys> | null): void {
    if (of.crowd === crowd) return;
    of.crowd?.remove(of);
    crowd?.add(of);
    of.crowd = crowd;
  }
}
