/**
 * Who may come in at all, decided before anything else is done for a request: connections at one time and connections a
 * second, in all and for each address, and plain requests a second for each address. What is known of an address is bounded,
 * and forgotten once it makes no difference.
 */
import type { Code } from "../core/codes.ts";
import { disconnects, errors } from "../core/codes.ts";
import type { Logger } from "../core/logger.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { Oldest } from "../lib/oldest.ts";
import { TokenBucket } from "../lib/token-bucket.ts";
import { MutedLog } from "../observe/muted-log.ts";
import { type Client, isLoopbackAddress, limitKey, type TrustedProxies } from "./client-address.ts";
import { problem } from "./problem.ts";

/** 0: no limit. */
export interface AdmissionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddress: number;
  /** Connections a second, in all. */
  readonly acceptRate: number;
  readonly acceptRatePerAddress: number;
  readonly requestRatePerAddress: number;
  /** Addresses whose connections and requests are counted at one time; not 0. */
  readonly addressesMax: number;
  /** Bits of an IPv6 address that tell one client from another. */
  readonly ipv6Prefix: number;
}

export interface AdmissionParts extends AdmissionLimits {
  /** With any, loopback counts as every other address. */
  readonly trustedProxies: TrustedProxies;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A rate allows as much at once as it allows in this time. */
export const burstSeconds = 10;
/** When to come back where nobody knows when there will be room. */
const retryRoomSeconds = 5;
const forgetEveryMs = 1000;

const reasons = {
  full: { status: 503, code: disconnects.overloaded, text: "The server has no room for another connection" },
  "accept-rate": { status: 503, code: disconnects.overloaded, text: "Too many connections are being opened" },
  addresses: { status: 503, code: disconnects.overloaded, text: "Too many addresses are connected" },
  "address-connections": { status: 429, code: errors.tooManyRequests, text: "This address has too many connections" },
  "address-accept-rate": { status: 429, code: errors.tooManyRequests, text: "This address opens connections too fast" },
  "address-request-rate": { status: 429, code: errors.tooManyRequests, text: "This address sends requests too fast" },
} as const satisfies Record<string, { readonly status: number; readonly code: Code; readonly text: string }>;

export type RefusalReason = keyof typeof reasons;
export const refusalReasons = Object.keys(reasons) as readonly RefusalReason[];

/** What is known of an address. */
interface Source {
  readonly key: string;
  connections: number;
  seenAtMs: number;
  readonly accepts: TokenBucket | null;
  readonly requests: TokenBucket | null;
}

/** The room of one connection, from before its credential is looked at until its socket is gone. */
export class Place {
  #leave: (() => void) | null;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  /** Once is enough. */
  release(): void {
    this.#leave?.();
    this.#leave = null;
  }
}

export class Admission {
  readonly counts = Object.fromEntries(refusalReasons.map((reason) => [reason, 0])) as Record<RefusalReason, number>;
  readonly #parts: AdmissionParts;
  readonly #log: MutedLog;
  readonly #accepts: TokenBucket | null;
  /** Addresses with connections, and those without, the longest unseen first. */
  readonly #busy = new Map<string, Source>();
  readonly #idle = new Map<string, Source>();
  readonly #oldest = new Oldest(() => this.#idle.keys());
  readonly #timer: Timer;
  #held = 0;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#log = new MutedLog(parts.log, parts.clock);
    this.#accepts = bucketOf(parts.acceptRate, parts.clock.monotonicMs());
    this.#timer = parts.clock.every(forgetEveryMs, () => this.#forget());
  }

  /** Addresses that are known now. */
  get addresses(): number {
    return this.#busy.size + this.#idle.size;
  }

  /** Room for one more connection, or the answer that refuses it. */
  admit(client: Client, headers: Headers): Place | Response {
    const nowMs = this.#parts.clock.monotonicMs();
    const { connectionsMax, connectionsPerAddress } = this.#parts;
    if (connectionsMax > 0 && this.#held >= connectionsMax) return this.#refuse("full", client, headers);
    const source = this.#sourceOf(client, nowMs);
    if (source === undefined) return this.#refuse("addresses", client, headers);
    if (source !== null && connectionsPerAddress > 0 && source.connections >= connectionsPerAddress) {
      return this.#refuse("address-connections", client, headers);
    }
    const ofAddress = source?.accepts ?? null;
    if (!has(ofAddress, nowMs)) return this.#refuse("address-accept-rate", client, headers, ofAddress);
    // The last question: who is refused for their own sake takes nothing away from others.
    if (!has(this.#accepts, nowMs)) return this.#refuse("accept-rate", client, headers, this.#accepts);
    if (ofAddress !== null) ofAddress.level--;
    if (this.#accepts !== null) this.#accepts.level--;
    this.#held++;
    if (source !== null) this.#enter(source);
    return new Place(() => this.#leave(source));
  }

  /** Null where a request other than for a connection may be answered, else the answer that refuses it. */
  allow(client: Client, headers: Headers): Response | null {
    if (this.#parts.requestRatePerAddress === 0) return null;
    const nowMs = this.#parts.clock.monotonicMs();
    // What there is no room to count is let through: it holds nothing.
    const requests = this.#sourceOf(client, nowMs)?.requests ?? null;
    if (!has(requests, nowMs)) return this.#refuse("address-request-rate", client, headers, requests);
    if (requests !== null) requests.level--;
    return null;
  }

  close(): void {
    this.#timer.cancel();
    this.#log.close();
  }

  /** Null: its address does not count; undefined: there is no room to count it. */
  #sourceOf({ address }: Client, nowMs: number): Source | null | undefined {
    const { trustedProxies, ipv6Prefix, addressesMax, acceptRatePerAddress, requestRatePerAddress } = this.#parts;
    if (address === "" || (trustedProxies.length === 0 && isLoopbackAddress(address))) return null;
    if (this.#parts.connectionsPerAddress + acceptRatePerAddress + requestRatePerAddress === 0) return null;
    const key = limitKey(address, ipv6Prefix);
    const busy = this.#busy.get(key);
    if (busy !== undefined) return busy;
    const idle = this.#idle.get(key);
    if (idle !== undefined) {
      idle.seenAtMs = nowMs;
      this.#idle.delete(key);
      this.#idle.set(key, idle);
      return idle;
    }
    if (this.addresses >= addressesMax && !this.#forgetOne()) return undefined;
    const accepts = bucketOf(acceptRatePerAddress, nowMs);
    const source: Source = {
      ...{ key, accepts, connections: 0, seenAtMs: nowMs },
      requests: bucketOf(requestRatePerAddress, nowMs),
    };
    this.#idle.set(key, source);
    return source;
  }

  #enter(source: Source): void {
    if (++source.connections > 1) return;
    this.#idle.delete(source.key);
    this.#busy.set(source.key, source);
  }

  #leave(source: Source | null): void {
    this.#held--;
    if (source === null || --source.connections > 0) return;
    source.seenAtMs = this.#parts.clock.monotonicMs();
    this.#busy.delete(source.key);
    this.#idle.set(source.key, source);
  }

  /** Those without connections whose buckets are full again. */
  #forget(): void {
    const untilMs = this.#parts.clock.monotonicMs() - burstSeconds * 1000;
    for (const [key, { seenAtMs }] of this.#idle) {
      if (seenAtMs > untilMs) return;
      this.#idle.delete(key);
    }
  }

  #forgetOne(): boolean {
    const oldest = this.#oldest.take();
    return oldest !== undefined && this.#idle.delete(oldest);
  }

  #refuse(reason: RefusalReason, client: Client, headers: Headers, bucket: TokenBucket | null = null): Response {
    const { status, code, text } = reasons[reason];
    this.counts[reason]++;
    const from = limitKey(client.address, this.#parts.ipv6Prefix);
    const isProxy = status === 429 && client.address !== "" && this.#looksLikeProxy(headers);
    this.#log.warn(reason === "address-request-rate" ? "request refused" : "connection refused", from, {
      reason,
      ...(isProxy && { hint: "if this is a proxy, name it by --trusted-proxies" }),
    });
    const response = problem(status, code.code, text);
    const seconds = bucket === null ? retryRoomSeconds : Math.max(1, Math.ceil(bucket.waitMs(1) / 1000));
    response.headers.set("retry-after", String(seconds));
    return response;
  }

  #looksLikeProxy(headers: Headers): boolean {
    return this.#parts.trustedProxies.length === 0 && (headers.has("x-forwarded-for") || headers.has("forwarded"));
  }
}

function bucketOf(rate: number, nowMs: number): TokenBucket | null {
  return rate === 0 ? null : new TokenBucket({ perSecond: rate, burst: rate * burstSeconds }, nowMs);
}

function has(bucket: TokenBucket | null, nowMs: number): boolean {
  if (bucket === null) return true;
  bucket.refill(nowMs);
  return bucket.level >= 1;
}
