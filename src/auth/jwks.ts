/** A JSON Web Key Set behind a URL: fetched within bounds of time and size, kept, and refreshed. */
import {
  createLocalJWKSet,
  type CryptoKey,
  errors as joseErrors,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from "jose";
import type { Logger } from "../core/logger.ts";
import type { Clock, Timer } from "../lib/clock.ts";

export const fetchTimeoutMs = 5_000;
export const setBytesMax = 256 * 1024;
/** The set is fetched again this often, also if nobody asks: keys taken out of it end. */
export const refreshMs = 600_000;
/** Keys of a set that cannot be fetched any more are good for so long. */
export const staleMaxMs = 24 * 3_600_000;
/** An unknown key id fetches the set at most this often, whoever sends it. */
export const unknownCooldownMs = 30_000;
/** Keys tried for a token that names none. */
const keysTriedMax = 16;
/** After a failure. */
export const failureCooldownMs = 5_000;

/** The set could not be had now: whether the key exists is not known. */
export class KeysUnavailable extends Error {
  constructor(url: string, options?: { cause?: unknown }) {
    super(`The key set at "${url}" cannot be had`, options);
    this.name = "KeysUnavailable";
  }
}

export interface JwksOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

type FindKey = ReturnType<typeof createLocalJWKSet>;

/** Begins to fetch at once, so that the first connection does not wait; close it to end its timer. */
export class Jwks {
  readonly #options: JwksOptions;
  readonly #timer: Timer;
  readonly #closed = new AbortController();
  #find: FindKey | null = null;
  /** By the monotonic clock. */
  #fetchedMs = 0;
  /** When the last fetch ended, well or not. */
  #triedMs = 0;
  #failure: unknown = null;
  #fetching: Promise<void> | null = null;

  constructor(options: JwksOptions) {
    this.#options = options;
    this.#timer = options.clock.every(refreshMs, () => void this.#refresh());
    void this.#refresh();
  }

  close(): void {
    this.#timer.cancel();
    this.#closed.abort();
  }

  /**
   * The keys that fit a header, whose algorithm the caller has checked; none where the set has no such key.
   * @throws KeysUnavailable
   */
  async keysFor(header: JWSHeaderParameters): Promise<readonly CryptoKey[]> {
    let keys = this.#usable() ? await this.#matching(header) : [];
    if (keys.length === 0) {
      await this.#refreshUnlessJustTried();
      keys = this.#usable() ? await this.#matching(header) : [];
    }
    if (keys.length === 0 && this.#failure !== null)
      throw new KeysUnavailable(this.#options.url, { cause: this.#failure });
    return keys;
  }

  #usable(): boolean {
    return this.#find !== null && this.#options.clock.monotonicMs() - this.#fetchedMs <= staleMaxMs;
  }

  async #matching(header: JWSHeaderParameters): Promise<readonly CryptoKey[]> {
    if (this.#find === null) return [];
    try {
      return [await this.#find({ ...header, alg: header.alg ?? "" })];
    } catch (error) {
      if (error instanceof joseErrors.JWKSMultipleMatchingKeys) return collect(error);
      if (error instanceof joseErrors.JOSEError) return [];
      throw error;
    }
  }

  async #refreshUnlessJustTried(): Promise<void> {
    const cooldownMs = this.#failure === null ? unknownCooldownMs : failureCooldownMs;
    if (this.#fetching === null && this.#options.clock.monotonicMs() - this.#triedMs < cooldownMs) return;
    await this.#refresh();
  }

  /** One fetch at a time; never rejects. */
  #refresh(): Promise<void> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    const { url, clock, logger } = this.#options;
    const timeout = new AbortController();
    const timer = clock.after(fetchTimeoutMs, () => timeout.abort(new Error(`No answer within ${fetchTimeoutMs} ms`)));
    try {
      this.#find = createLocalJWKSet(await fetchSet(url, AbortSignal.any([timeout.signal, this.#closed.signal])));
      this.#fetchedMs = clock.monotonicMs();
      this.#failure = null;
    } catch (error) {
      this.#failure = error;
      if (!this.#closed.signal.aborted) logger.warn("key set not fetched", { url, problem: String(error) });
    } finally {
      timer.cancel();
      this.#triedMs = clock.monotonicMs();
    }
  }
}

async function fetchSet(url: string, signal: AbortSignal): Promise<JSONWebKeySet> {
  // A redirect could lead away from https.
  const response = await fetch(url, { signal, redirect: "error", headers: { accept: "application/json" } });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`Answered with status ${response.status}`);
  }
  return JSON.parse(await boundedText(response)) as JSONWebKeySet; // createLocalJWKSet checks it
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > setBytesMax) throw new Error(`Larger than ${setBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Where the header names no key id, several may fit; those that cannot be imported do not. */
async function collect(several: joseErrors.JWKSMultipleMatchingKeys): Promise<readonly CryptoKey[]> {
  const keys: CryptoKey[] = [];
  for await (const key of several) if (keys.push(key) >= keysTriedMax) break;
  return keys;
}
