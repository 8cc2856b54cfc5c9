/**
 * What is known of the logs: who was told that a message has which place, by an acknowledgement or a delivery. All must have
 * been told the same, and a message has one place, but where a log was lost and its publisher sent it again.
 *
 * Messages of a tag are numbered by the publisher; `n` is such a number.
 */
import type { Verdict } from "./verdict.ts";

export interface Place {
  readonly epoch: number;
  readonly offset: number;
}

export interface Acked extends Place {
  readonly n: number;
  readonly issuedMs: number;
  readonly atMs: number;
}

interface Known {
  readonly places: Place[];
  firstMs: number;
  /** Rounds of verification since it was seen first. */
  age: number;
}

/** Rounds after which a number is forgotten; what was sent twice comes sooner. */
const ageMax = 3;

export class TagTruth {
  readonly tag: string;
  /** Acknowledged and not verified yet. */
  acked: Acked[] = [];
  /** The newest acknowledged, by when it was acknowledged. */
  latest: Acked | null = null;
  /** When the newest message that was acknowledged was issued. */
  latestIssuedMs = 0;
  readonly #verdict: Verdict;
  readonly #faults: FaultTimes;
  readonly #epochs = new Map<number, Map<number, number>>();
  readonly #known = new Map<number, Known>();

  constructor(tag: string, verdict: Verdict, faults: FaultTimes) {
    this.tag = tag;
    this.#verdict = verdict;
    this.#faults = faults;
  }

  /** Somebody was told that `n` stands there. */
  observed(n: number, epoch: number, offset: number, by: string): void {
    let log = this.#epochs.get(epoch);
    if (log === undefined) this.#epochs.set(epoch, (log = new Map()));
    const known = log.get(offset);
    if (known === n) return;
    if (known !== undefined) {
      this.#verdict.violation(`${this.tag} ${epoch}:${offset} is ${n} for ${by}, ${known} for others`);
      return;
    }
    log.set(offset, n);
    const nowMs = performance.now();
    const message = this.#known.get(n);
    if (message === undefined) {
      this.#known.set(n, { places: [{ epoch, offset }], firstMs: nowMs, age: 0 });
      return;
    }
    for (const place of message.places) {
      const isSame = place.offset === offset && place.epoch !== epoch;
      const isRepeated = place.epoch !== epoch && this.#faults.lossySince(message.firstMs);
      if (isSame || isRepeated) continue;
      this.#verdict.violation(
        `${this.tag} has ${n} twice: at ${place.epoch}:${place.offset} and, for ${by}, at ${epoch}:${offset}`,
      );
    }
    message.places.push({ epoch, offset });
  }

  acknowledged(n: number, place: Place, issuedMs: number): void {
    const { epoch, offset } = place;
    this.observed(n, epoch, offset, "its publisher");
    const acked = { n, epoch, offset, issuedMs, atMs: performance.now() };
    this.acked.push(acked);
    const { latest } = this;
    if (latest === null || latest.epoch !== epoch || latest.offset < offset) this.latest = acked;
    if (issuedMs > this.latestIssuedMs) this.latestIssuedMs = issuedMs;
  }

  /** Every place that `n` is known to have had. */
  placesOf(n: number): readonly Place[] {
    return this.#known.get(n)?.places ?? [];
  }

  /** Acknowledged by then, and not verified yet. */
  due(ms: number): readonly Acked[] {
    return this.acked.filter(({ atMs }) => atMs <= ms);
  }

  /** What was acknowledged by then was verified. */
  verified(ms: number): void {
    this.acked = this.acked.filter(({ atMs }) => atMs > ms);
    for (const [n, known] of this.#known) {
      if (++known.age <= ageMax) continue;
      this.#known.delete(n);
      for (const { epoch, offset } of known.places) this.#epochs.get(epoch)?.delete(offset);
    }
    for (const [epoch, log] of this.#epochs) if (log.size === 0) this.#epochs.delete(epoch);
  }
}

/** When what was injected, as far as it excuses anything. */
export class FaultTimes {
  readonly #lossy: { fromMs: number; toMs: number }[] = [];
  readonly #away: { instance: number; fromMs: number; toMs: number }[] = [];

  /** Messages acknowledged before its end may be lost. */
  lossy(): { end: () => void } {
    const span = { fromMs: performance.now(), toMs: Infinity };
    this.#lossy.push(span);
    return { end: () => (span.toMs = performance.now()) };
  }

  /** Messages acknowledged until now may be lost, and a moment longer. */
  lostUntilNow(): void {
    const nowMs = performance.now();
    this.#lossy.push({ fromMs: nowMs, toMs: nowMs + 1000 });
  }

  /** What is published to live-only tags there reaches nobody elsewhere. */
  away(instance: number): { end: () => void } {
    const span = { instance, fromMs: performance.now(), toMs: Infinity };
    this.#away.push(span);
    return { end: () => (span.toMs = performance.now()) };
  }

  lossySince(ms: number): boolean {
    return this.#lossy.some(({ toMs }) => toMs >= ms);
  }

  /** `slackMs`: it may have been sent before and have got no further. */
  isAway(instance: number, atMs: number, slackMs = 500): boolean {
    return this.#away.some((one) => one.instance === instance && atMs >= one.fromMs - slackMs && atMs <= one.toMs);
  }
}
