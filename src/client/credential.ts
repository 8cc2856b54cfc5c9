/** Where the token comes from, when it is asked for again, and when it is refreshed in band. */
import { errors } from "../core/codes.ts";
import type { LinkEnd } from "./link.ts";
import type { Timer, Timers } from "./timers.ts";
import type { ConnectOptions } from "./types.ts";

/** A refresh happens this long before the token expires, or when a tenth of its life is left if that is less. */
const marginMaxMs = 60_000;
/** The soonest refresh, and the soonest one where the server's clock and ours do not agree. */
const delayMinMs = 1_000;
const skewedDelayMs = 30_000;
/** A timer at a time: longer lives are looked at again. */
const delayMaxMs = 86_400_000;
/** The disconnect that says the token has expired. */
const expiredDisconnect = 3003;

export class Credential {
  readonly #source: ConnectOptions["token"];
  readonly #timers: Timers;
  #token: string | undefined;
  /** Whether the token in use was asked for by this attempt. */
  #fresh = false;
  #timer: Timer | null = null;

  constructor(source: ConnectOptions["token"], timers: Timers) {
    this.#source = source;
    this.#timers = timers;
    if (typeof source === "string") this.#token = source;
  }

  /** The token to connect with: the last one, or a new one where that has expired. Rejects with whatever the callback throws. */
  async token(): Promise<string | undefined> {
    this.#fresh = this.#token === undefined;
    return this.#token ?? this.#ask();
  }

  /** Whether the end of a connection lies in a token that a new one can replace. The next `token()` is a new one. */
  renewable({ code, refusal }: LinkEnd): boolean {
    if (typeof this.#source !== "function") return false;
    const stale = refusal?.code === errors.invalidToken.code && !this.#fresh;
    if (!stale && refusal?.code !== errors.expiredToken.code && code !== expiredDisconnect) return false;
    this.#token = undefined;
    return true;
  }

  /**
   * Calls `refresh` with a new token in time before `expires` (unix seconds), again and again while it answers with
   * another expiry. What it rejects with goes to `failed`, and it is tried again.
   */
  keepFresh(
    expires: number | null,
    refresh: (token: string) => Promise<number | null>,
    failed: (thrown: unknown) => void,
  ): void {
    this.stop();
    if (typeof this.#source !== "function" || expires === null) return;
    const leftMs = expires * 1000 - this.#timers.wallMs();
    const dueMs = leftMs > 0 ? Math.max(delayMinMs, leftMs - Math.min(marginMaxMs, leftMs / 10)) : skewedDelayMs;
    const timer = this.#timers.after(Math.min(dueMs, delayMaxMs), () => {
      if (dueMs > delayMaxMs) return this.keepFresh(expires, refresh, failed);
      const renewed = this.#ask().then((token) => (token === undefined ? null : refresh(token)));
      void renewed
        .catch((thrown: unknown) => {
          if (this.#timer === timer) failed(thrown);
          return expires;
        })
        // Stopped meanwhile: another connection has its own timer.
        .then((next) => this.#timer === timer && this.keepFresh(next, refresh, failed));
    });
    this.#timer = timer;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  async #ask(): Promise<string | undefined> {
    if (typeof this.#source === "function") this.#token = await this.#source();
    return this.#token;
  }
}
