/** JWTs that were verified lately, so that a reconnect storm does not pay for each signature again. */
import { Oldest } from "../lib/oldest.ts";
import type { Clock } from "../lib/clock.ts";
import type { VerifiedJwt } from "./jwt.ts";

/** Tokens kept; the oldest go first. */
export const cachedJwtsMax = 10_000;
/** A key that was taken out of its set lets tokens in for at most this much longer. */
export const cachedJwtMs = 600_000;

interface Entry {
  readonly verified: VerifiedJwt;
  /** By the monotonic clock. */
  readonly endMs: number;
}

/** Keyed by a token's SHA-256: the cache holds no credential. */
export class JwtCache {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #entries = new Map<string, Entry>();
  readonly #oldest = new Oldest(() => this.#entries.keys());

  constructor(clock: Clock, max: number = cachedJwtsMax) {
    this.#clock = clock;
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Null where it is not known, or its `exp` has come: then it is verified anew, whatever skew is allowed. */
  get(hash: string): VerifiedJwt | null {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return null;
    const isOver = this.#clock.monotonicMs() >= entry.endMs || this.#clock.wallMs() >= entry.verified.claims.exp * 1000;
    if (isOver) this.#entries.delete(hash);
    return isOver ? null : entry.verified;
  }

  add(hash: string, verified: VerifiedJwt): void {
    this.#entries.delete(hash);
    this.#entries.set(hash, { verified, endMs: this.#clock.monotonicMs() + cachedJwtMs });
    if (this.#entries.size <= this.#max) return;
    const oldest = this.#oldest.take();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
