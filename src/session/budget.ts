/** What one connection, or all of one credential, may do in a second, and how much of it is left. */
import { type Allowance, refilled, waitMs } from "../lib/token-bucket.ts";

/**
 * `messages`: publishes, one for each tag, all other requests, and pings · `bytes` of frames and bodies · `subscribes` ·
 * `errors`: requests that were refused · `connects`: connections that were opened · `logins` of browsers.
 */
export const kinds = ["messages", "bytes", "subscribes", "errors", "connects", "logins"] as const;
export type Kind = (typeof kinds)[number];
export type Allowances = Readonly<Record<Kind, Allowance>>;

const endless: Allowance = { perSecond: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY };
export const unbounded: Allowances = {
  messages: endless,
  bytes: endless,
  subscribes: endless,
  errors: endless,
  connects: endless,
  logins: endless,
};

/** How much may be done at once, in seconds' worth: a client that comes subscribes to all it wants, and connections come in waves. */
const burstSeconds: Readonly<Record<Kind, number>> = {
  messages: 1,
  bytes: 1,
  subscribes: 10,
  errors: 10,
  connects: 10,
  logins: 60,
};

/** What rates a second come to; 0: no bound. */
export function allowancesOf(rates: Readonly<Record<Kind, number>>): Allowances {
  const of = (kind: Kind): Allowance => {
    const perSecond = rates[kind];
    return perSecond === 0 ? endless : { perSecond, burst: perSecond * burstSeconds[kind] };
  };
  return {
    messages: of("messages"),
    bytes: of("bytes"),
    subscribes: of("subscribes"),
    errors: of("errors"),
    connects: of("connects"),
    logins: of("logins"),
  };
}

/** Levels are plain fields: whoever spends subtracts, and looks at them when it suits. Below zero: owed. */
export class Budget implements Record<Kind, number> {
  messages: number;
  bytes: number;
  subscribes: number;
  errors: number;
  connects: number;
  logins: number;
  #allowances: Allowances;
  #atMs: number;

  /** Full. `nowMs`: monotonic. */
  constructor(allowances: Allowances, nowMs: number) {
    this.#allowances = allowances;
    this.#atMs = nowMs;
    this.messages = allowances.messages.burst;
    this.bytes = allowances.bytes.burst;
    this.subscribes = allowances.subscribes.burst;
    this.errors = allowances.errors.burst;
    this.connects = allowances.connects.burst;
    this.logins = allowances.logins.burst;
  }

  /** Adds what has come in since the last time. */
  refill(nowMs: number): void {
    const ms = nowMs - this.#atMs;
    for (const kind of kinds) this[kind] = refilled(this[kind], this.#allowances[kind], ms);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** From now on other bounds hold. */
  adjust(allowances: Allowances): void {
    this.#allowances = allowances;
    for (const kind of kinds) this[kind] = refilled(this[kind], allowances[kind], 0);
  }

  /** What there is too much of, if anything. */
  get short(): Kind | null {
    if (this.messages <= 0) return "messages";
    return kinds.find((kind) => this[kind] < 0) ?? null;
  }

  /** Whether nothing was spent that has not come in again. */
  get full(): boolean {
    return kinds.every((kind) => this[kind] >= this.#allowances[kind].burst);
  }

  /** Milliseconds after the last refill until one more may be done. */
  waitMs(kind: Kind): number {
    return waitMs(this[kind], this.#allowances[kind], 1);
  }

  perSecond(kind: Kind): number {
    return this.#allowances[kind].perSecond;
  }
}
