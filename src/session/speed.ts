/**
 * How fast one connection sends, against its own bounds and those of its credential. Who is too fast is not read from for a
 * while; who goes on so is told, and then ended.
 */
import { disconnects, errors } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import { Budget, type Kind } from "./budget.ts";
import type { Rates, Slowed } from "./rates.ts";
import type { Session } from "./session.ts";

/** A connection floods in a second for half of which it had to be kept waiting. */
const floodingMs = 500;

interface Excess {
  readonly kind: Kind;
  readonly perSecond: number;
}

/** What there was too much of, as its client is told. */
const nouns: Readonly<Record<Kind, string>> = {
  messages: "messages",
  bytes: "bytes",
  subscribes: "subscribes",
  errors: "requests that fail",
  connects: "connections",
};
/** A client that was disconnected for flooding comes back after this long, and as much again by chance. */
const floodRetryMs = 5000;
/** A lease is what may be spent in this part of a second; without bound it is as much as a small integer holds. */
const leasesPerSecond = 50;
const leaseMax = 2 ** 30;

/**
 * What there is to spend is taken from the bounds in leases, so that a message costs one subtraction, and a frame two. The
 * connections of a credential share its bounds but for their leases.
 */
export class Speed implements Slowed {
  /** What is left of the lease. Below zero: owed, or nothing may be done before `renew` says so. */
  messages = 0;
  bytes = 0;
  readonly #session: Session;
  readonly #rates: Rates;
  /** What there was too much of when it was last slowed, and how many a second there may be. */
  #excess: Excess = { kind: "messages", perSecond: 0 };
  readonly #own: Budget;
  /** Of the credential. */
  #all: Budget;
  #identity: Identity | null = null;
  /** Monotonic; below zero: it is read from. */
  #slowedAtMs = -1;
  /** In this second. */
  #slowedMs = 0;
  #floodedSeconds = 0;

  constructor(session: Session) {
    const { rates, nowMs } = session.registry;
    this.#session = session;
    this.#rates = rates;
    this.#own = new Budget(rates.allowancesOf(null), nowMs);
    this.#all = rates.join(null);
    this.renew(nowMs);
  }

  /** It is known on whose behalf it sends; others count together with it. */
  identify(identity: Identity): void {
    this.#giveBack();
    const all = this.#rates.join(identity);
    this.#rates.leave(this.#identity, this.#all);
    this.#identity = identity;
    this.#all = all;
    this.#own.adjust(this.#rates.allowancesOf(identity));
  }

  spend(kind: "subscribes" | "errors"): void {
    this.#own[kind]--;
    this.#all[kind]--;
    if (this.#own[kind] < 0 || this.#all[kind] < 0) this.#giveBack();
  }

  /** A new lease; false: there is nothing to be had now. Reads the clock. */
  renew(nowMs: number = this.#rates.clock.monotonicMs()): boolean {
    this.#giveBack();
    this.#own.refill(nowMs);
    this.#all.refill(nowMs);
    if (this.#own.short !== null || this.#all.short !== null) return false;
    this.messages = this.#take("messages", 1);
    this.bytes = this.#take("bytes", 0);
    return true;
  }

  #take(kind: "messages" | "bytes", least: number): number {
    const own = this.#own;
    const all = this.#all;
    const quantum = Math.min(own.perSecond(kind), all.perSecond(kind)) / leasesPerSecond;
    const amount = Math.max(least, Math.floor(Math.min(leaseMax, Math.max(1, quantum), own[kind], all[kind])));
    own[kind] -= amount;
    all[kind] -= amount;
    return amount;
  }

  #giveBack(): void {
    const { messages, bytes } = this;
    this.#own.messages += messages;
    this.#all.messages += messages;
    this.#own.bytes += bytes;
    this.#all.bytes += bytes;
    this.messages = 0;
    this.bytes = 0;
  }

  /** It is not read from until it may send again. */
  slow(): void {
    const own = this.#own.short;
    const kind = own ?? this.#all.short ?? "messages";
    this.#excess = { kind, perSecond: (own === null ? this.#all : this.#own).perSecond(kind) };
    this.#slowedAtMs = this.#rates.clock.monotonicMs();
    this.#session.pace.slow();
    this.#rates.slow(this, kind);
  }

  retry(nowMs: number): boolean {
    if (!this.renew(nowMs)) return false;
    this.#slowedMs += nowMs - this.#slowedAtMs;
    this.#slowedAtMs = -1;
    // What it sent meanwhile was not looked at: it is no less alive for that.
    this.#session.heard();
    this.#session.pace.inTime();
    return true;
  }

  /** Called every second, with monotonic time: who floods is told, and ended where that does not help. */
  tick(nowMs: number): void {
    this.#own.refill(nowMs);
    if (this.#slowedAtMs >= 0) {
      this.#slowedMs += nowMs - this.#slowedAtMs;
      this.#slowedAtMs = nowMs;
    }
    this.#floodedSeconds = this.#slowedMs >= floodingMs ? this.#floodedSeconds + 1 : 0;
    this.#slowedMs = 0;
    if (this.#floodedSeconds > 0) this.#warn(this.#floodedSeconds);
  }

  #warn(seconds: number): void {
    const { id, client, remoteAddress: from } = this.#session;
    const { kind, perSecond } = this.#excess;
    this.#rates.log.warn("client floods", from, { session: id, client, kind, perSecond, seconds });
    const { floodDeadlineMs } = this.#rates;
    if (floodDeadlineMs > 0 && seconds * 1000 >= floodDeadlineMs) {
      return this.#session.end(disconnects.flooding, Math.round(floodRetryMs * (1 + Math.random())));
    }
    this.#rates.told++;
    this.#session.notice(errors.slowed, `At most ${perSecond} ${nouns[kind]} a second: no more is read from you`);
  }

  /** The session is over. */
  close(): void {
    this.#giveBack();
    this.#rates.forget(this);
    this.#rates.leave(this.#identity, this.#all);
    this.#all = this.#rates.join(null);
  }
}
