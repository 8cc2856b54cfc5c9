/**
 * How fast clients may send: bounds for each connection and for all connections and requests of a credential. Who is too fast is read
 * from more slowly; who floods is then told, and in the end disconnected. Nothing here reads the clock for a message.
 */
import type { Identity } from "../core/identity.ts";
import type { Logger } from "../core/logger.ts";
import { credentialKeyOf } from "../hub/limits.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { MutedLog } from "../observe/muted-log.ts";
import { allowancesOf, type Allowances, Budget, type Kind, kinds, unbounded } from "./budget.ts";

/** A second; 0: no bound. */
export interface RateOptions {
  readonly messageRatePerConnection: number;
  readonly byteRatePerConnection: number;
  readonly subscribeRatePerConnection: number;
  readonly errorRatePerConnection: number;
  readonly messageRatePerToken: number;
  readonly byteRatePerToken: number;
  readonly subscribeRatePerToken: number;
  readonly errorRatePerToken: number;
  readonly acceptRatePerToken: number;
  /** A minute. */
  readonly loginRatePerToken: number;
  /** How long a connection may flood before it is ended; 0: for ever. */
  readonly floodDeadlineMs: number;
}

/** Who is not read from for now. */
export interface Slowed {
  /** Goes on where it may; false: it is still too early. */
  retry(nowMs: number): boolean;
}

interface Known {
  readonly budget: Budget;
  /** Connections that share it. */
  users: number;
}

/** How often it is looked whether who was slowed may go on. */
const retryEveryMs = 20;

export class Rates {
  /** How often reading stopped, by what there was too much of; and connections and requests that were refused for it. */
  readonly slowedCounts = countsOf();
  readonly refusedCounts = countsOf();
  /** Seconds in which a connection was told that it floods. */
  told = 0;
  readonly log: MutedLog;
  readonly clock: Clock;
  readonly floodDeadlineMs: number;
  /** For credentials without any bound. */
  readonly #endless: Budget;
  readonly #ofConnection: Allowances;
  /** Of a credential without bounds of its own. */
  readonly #ofTokens: Allowances;
  readonly #options: RateOptions;
  readonly #tokens = new Map<string, Known>();
  readonly #slowed = new Set<Slowed>();
  #timer: Timer | null = null;

  constructor(options: RateOptions, clock: Clock, log: Logger) {
    this.clock = clock;
    this.log = new MutedLog(log, clock);
    this.floodDeadlineMs = options.floodDeadlineMs;
    this.#options = options;
    this.#endless = new Budget(unbounded, 0);
    this.#ofConnection = allowancesOf({
      messages: options.messageRatePerConnection,
      bytes: options.byteRatePerConnection,
      subscribes: options.subscribeRatePerConnection,
      errors: options.errorRatePerConnection,
      connects: 0,
      logins: 0,
    });
    this.#ofTokens = allowancesOf({
      messages: options.messageRatePerToken,
      bytes: options.byteRatePerToken,
      subscribes: options.subscribeRatePerToken,
      errors: options.errorRatePerToken,
      connects: options.acceptRatePerToken,
      logins: options.loginRatePerToken / 60,
    });
  }

  /** Credentials whose bounds are counted now. */
  get credentials(): number {
    return this.#tokens.size;
  }

  /** Of a connection; null: it is not known yet whose. What a credential bounds by itself, it bounds over all its connections. */
  allowancesOf(identity: Identity | null): Allowances {
    const own = this.#ofConnection;
    const messages = (identity?.messagesPerSecond ?? null) === null;
    const bytes = (identity?.bytesPerSecond ?? null) === null;
    if (messages && bytes) return own;
    return {
      ...own,
      messages: messages ? own.messages : unbounded.messages,
      bytes: bytes ? own.bytes : unbounded.bytes,
    };
  }

  /** What the connections of a credential may send together. Undo it by `leave`; null: nobody yet. */
  join(identity: Identity | null): Budget {
    const allowances = identity === null ? null : this.#ofToken(identity);
    // Where connections alone are bounded, one that is open has nothing to share: most have a credential of their own.
    if (identity === null || allowances === null || !isBound(allowances, sent)) return this.#endless;
    const known = this.#knownOf(identity, allowances);
    known.users++;
    return known.budget;
  }

  /** What `join` gave is not used any more. It is kept until it makes no difference. */
  leave(identity: Identity | null, budget: Budget): void {
    if (identity === null || budget === this.#endless) return;
    const known = this.#tokens.get(credentialKeyOf(identity));
    if (known?.budget === budget) known.users--;
  }

  /**
   * Milliseconds until a credential may make another request that needs something of each kind; 0: now, and what it comes to
   * is told by `charge`.
   */
  wait(identity: Identity, ...needed: readonly Kind[]): number {
    const budget = this.#budgetOf(identity);
    if (budget === this.#endless) return 0;
    budget.refill(this.clock.monotonicMs());
    for (const kind of needed) {
      const ms = budget.waitMs(kind);
      if (ms === 0) continue;
      this.refusedCounts[kind]++;
      return ms;
    }
    return 0;
  }

  /** What a request came to. What is owed then is for later ones to wait for. */
  charge(identity: Identity, spent: Partial<Record<Kind, number>>): void {
    const budget = this.#budgetOf(identity);
    for (const kind of kinds) budget[kind] -= spent[kind] ?? 0;
  }

  /** Nothing more is read from somebody until `retry` says that it went on. */
  slow(who: Slowed, kind: Kind): void {
    this.slowedCounts[kind]++;
    this.#slowed.add(who);
    this.#timer ??= this.clock.every(retryEveryMs, () => this.#retry());
  }

  /** It is gone. */
  forget(who: Slowed): void {
    this.#slowed.delete(who);
  }

  /** Called every second. */
  sweep(nowMs: number): void {
    for (const [key, { budget, users }] of this.#tokens) {
      budget.refill(nowMs);
      if (users === 0 && budget.full) this.#tokens.delete(key);
    }
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.log.close();
  }

  #retry(): void {
    const nowMs = this.clock.monotonicMs();
    // Who goes on may be slowed again at once: that is for the next time.
    for (const who of [...this.#slowed]) {
      this.#slowed.delete(who);
      if (!who.retry(nowMs)) this.#slowed.add(who);
    }
    if (this.#slowed.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #budgetOf(identity: Identity): Budget {
    const allowances = this.#ofToken(identity);
    return isBound(allowances, kinds) ? this.#knownOf(identity, allowances).budget : this.#endless;
  }

  #knownOf(identity: Identity, allowances: Allowances): Known {
    const key = credentialKeyOf(identity);
    let known = this.#tokens.get(key);
    if (known === undefined) {
      known = { budget: new Budget(allowances, this.clock.monotonicMs()), users: 0 };
      this.#tokens.set(key, known);
    } else known.budget.adjust(allowances);
    return known;
  }

  #ofToken({ messagesPerSecond, bytesPerSecond }: Identity): Allowances {
    const options = this.#options;
    if (messagesPerSecond === null && bytesPerSecond === null) return this.#ofTokens;
    return allowancesOf({
      messages: messagesPerSecond ?? options.messageRatePerToken,
      bytes: bytesPerSecond ?? options.byteRatePerToken,
      subscribes: options.subscribeRatePerToken,
      errors: options.errorRatePerToken,
      connects: options.acceptRatePerToken,
      logins: options.loginRatePerToken / 60,
    });
  }
}

/** What connections do while they are open. */
const sent = ["messages", "bytes", "subscribes", "errors"] as const satisfies readonly Kind[];

function isBound(allowances: Allowances, bounded: readonly Kind[]): boolean {
  return bounded.some((kind) => allowances[kind].perSecond !== Infinity);
}

function countsOf(): Record<Kind, number> {
  return { messages: 0, bytes: 0, subscribes: 0, errors: 0, connects: 0, logins: 0 };
}
