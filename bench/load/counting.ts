/** What a run counts, of those of its clients that read or of those that do not. */
import type { Counting } from "./client.ts";
import type { Tally } from "./commands.ts";
import { LatencyHistogram } from "./latency.ts";
import { readMicros, readRun, readSequence, readStream } from "./payload.ts";
import { Arrivals } from "./tally.ts";
import type { Turn } from "./turn.ts";

const failuresMax = 10;
const microsWrap = 2 ** 40;

export interface CountOptions {
  readonly run: number;
  readonly receivers: number;
  readonly streams: number;
  readonly payloadBytes: number;
  /** Latency is taken of one in so many messages of each stream, another one in the next: a power of two. */
  readonly sampleEvery: number;
}

export class Count implements Counting {
  readonly arrivals: Arrivals;
  readonly latency = new LatencyHistogram();
  acks = 0;
  notices = 0;
  readonly #failures = new Map<string, number>();
  readonly #turn: Turn;
  readonly #run: number;
  readonly #payloadBytes: number;
  readonly #sampleMask: number;

  constructor(options: CountOptions, turn: Turn) {
    this.arrivals = new Arrivals(options.receivers, options.streams);
    this.#turn = turn;
    this.#run = options.run;
    this.#payloadBytes = options.payloadBytes;
    this.#sampleMask = options.sampleEvery - 1;
  }

  message(receiver: number, bytes: Uint8Array, start: number, end: number): void {
    if (end - start !== this.#payloadBytes) return this.failed("A payload has another length than was published");
    // Of a run before this one: it was counted as lost there.
    if (readRun(bytes, start) !== this.#run) return;
    const sequence = readSequence(bytes, start);
    const stream = readStream(bytes, start);
    if (!this.arrivals.arrived(receiver, stream, sequence)) this.failed("A message that nobody published");
    if (((sequence + stream) & this.#sampleMask) !== 0) return;
    const micros = (this.#turn.micros() % microsWrap) - readMicros(bytes, start);
    this.latency.record(micros < -microsWrap / 2 ? micros + microsWrap : micros);
  }

  acknowledged(count: number): void {
    this.acks += count;
  }

  told(count: number): void {
    this.notices += count;
  }

  failed(reason: string): void {
    const before = this.#failures.get(reason) ?? 0;
    if (before > 0 || this.#failures.size < failuresMax) this.#failures.set(reason, before + 1);
  }

  /** Arrivals and notices of what does not arrive. */
  get settled(): number {
    return this.arrivals.delivered + this.notices;
  }

  tally(rest: Pick<Tally, "published" | "expected" | "seconds" | "driverSeconds" | "bytesIn" | "bytesOut">): Tally {
    const { delivered, doubled, reordered } = this.arrivals;
    return {
      ...rest,
      acknowledged: this.acks,
      delivered,
      lost: Math.max(0, rest.expected - delivered - this.notices),
      doubled,
      reordered,
      told: this.notices,
      failures: [...this.#failures].map(([reason, times]) => (times > 1 ? `${reason} (${times} times)` : reason)),
      latency: this.latency.summary(),
    };
  }
}

/** Of clients that were away: how long each takes until it has what it missed. */
export class CatchUpCount extends Count {
  readonly caughtUp = new LatencyHistogram();
  readonly #turn: Turn;
  readonly #startedAt = performance.now() * 1000;
  /** Messages that each receiver lacks. */
  readonly #missing: Int32Array;

  constructor(options: CountOptions, turn: Turn, missed: number) {
    super(options, turn);
    this.#turn = turn;
    this.#missing = new Int32Array(options.receivers).fill(missed);
  }

  override message(receiver: number, bytes: Uint8Array, start: number, end: number): void {
    super.message(receiver, bytes, start, end);
    const missing = (this.#missing[receiver] as number) - 1;
    this.#missing[receiver] = missing;
    if (missing === 0) this.caughtUp.record(this.#turn.micros() - this.#startedAt);
  }
}
