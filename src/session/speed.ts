/**
 * How fast one connection sends, against its own bounds and those of its credential. Who is too fast is not read from for a
 * while; who goes on so is told, and then ended.
 */
import { disconnects, errors } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import { Budget, type Kind } from "./budget.ts";
import type { Slowed } from "./rates.ts";
import type { Session } from "./session.ts";

/** A connection floods in a second for half of which it had to be kept waiting. */
const floodingMs = 500;

/** Of a connection that is slowed, or was a moment ago. */
interface Slowing {
  /** What there was too much of last, and how many a second there may be. */
  kind: Kind;
  perSecond: number;
  /** Monotonic; below zero: it is read from. */
  sinceMs: number;
  /** In this second. */
  ms: number;
  floodedSeconds: number;
}

/** What there was too much of, as its client is told. */
const nouns: Readonly<Record<Kind, string>> = {
  messages: "messages",
  bytes: "bytes",
  subscribes: "subscribes",
  errors: "requests that fail",
  connects: "connections",
  logins: "logins",
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
  readonly #own: Budget;
  /** Of the credential. */
  #all: Budget;
  #identity: Identity | null = null;
  /** Null: there is nothing to remember. */
  #slowing: Slowing | null = null;

  constructor(session: Session) {
    const { rates, nowMs } = session.registry;
    this.#session = session;
    this.#own = new Budget(rates.allowancesOf(null), nowMs);
    this.#all = rates.join(null);
    this.renew(nowMs);
  }

  /** It is known on whose behalf it sends; others count together with it. */
  identify(identity: Identity): void {
    this.#giveBack();
    const all = this.#session.registry.rates.join(identity);
    this.#session.registry.rates.leave(this.#identity, this.#all);
    this.#identity = identity;
    this.#all = all;
    this.#own.adjust(this.#session.registry.rates.allowancesOf(identity));
  }

  spend(kind: "subscribes" | "errors"): void {
    this.#own[kind]--;
    this.#all[kind]--;
    if (this.#own[kind] < 0 || this.#all[kind] < 0) this.#giveBack();
  }

  /** A new lease; false: there is nothing to be had now. Reads the clock. */
  renew(nowMs: number = this.#session.registry.rates.clock.monotonicMs()): boolean {
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
    const { rates } = this.#session.registry;
    const own = this.#own.short;
    const kind = own ?? this.#all.short ?? "messages";
    const slowing = (this.#slowing ??= { kind, perSecond: 0, sinceMs: -1, ms: 0, floodedSeconds: 0 });
    slowing.kind = kind;
    slowing.perSecond = (own === null ? this.#all : this.#own).perSecond(kind);
    slowing.sinceMs = rates.clock.monotonicMs();
    this.#session.pace.slow();
    rates.slow(this, kind);
  }

  retry(nowMs: number): boolean {
    if (!this.renew(nowMs)) return false;
    const slowing = this.#slowing;
    if (slowing !== null) {
      slowing.ms += nowMs - slowing.sinceMs;
      slowing.sinceMs = -1;
    }
    // What it sent meanwhile was not looked at: it is no less alive for that.
    this.#session.heard();
    this.#session.pace.inTime();
    return true;
  }

  /** Called every second, with monotonic time: who floods is told, and ended where that does not help. */
  tick(nowMs: number): void {
    this.#own.refill(nowMs);
    const slowing = this.#slowing;
    if (slowing === null) return;
    if (slowing.sinceMs >= 0) {
      slowing.ms += nowMs - slowing.sinceMs;
      slowing.sinceMs = nowMs;
    }
    const isFlooding = slowing.ms >= floodingMs;
    slowing.ms = 0;
    slowing.floodedSeconds = isFlooding ? slowing.floodedSeconds + 1 : 0;
    if (isFlooding) this.#warn(slowing);
    else if (slowing.sinceMs < 0) this.#slowing = null;
  }

  #warn({ kind, perSecond, floodedSeconds: seconds }: Slowing): void {
    const { id, client, remoteAddress: from, registry } = this.#session;
    const { log, floodDeadlineMs } = registry.rates;
    log.warn("client floods", from, { session: id, client, kind, perSecond, seconds });
    if (floodDeadlineMs > 0 && seconds * 1000 >= floodDeadlineMs) {
      return this.#session.end(disconnects.flooding, Math.round(floodRetryMs * (1 + Math.random())));
    }
    registry.rates.told++;
    this.#session.notice(errors.slowed, `At most ${perSecond} ${nouns[kind]} a second: no more is read from you`);
  }

  /** The session is over. */
  close(): void {
    this.#giveBack();
    this.#session.registry.rates.forget(this);
    this.#session.registry.rates.leave(this.#identity, this.#all);
    this.#all = this.#session.registry.rates.join(null);
  }
}
