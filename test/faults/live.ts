/**
 * Messages to tags without a log: each reaches every subscription that was there, or the subscription is told that some may
 * be missing. A connection publishes them numbered, so that an order that is not the publisher's is seen too.
 */
import type { FaultTimes } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

export interface LiveMessage {
  readonly tag: string;
  /** Of the publishing connection. */
  readonly connection: number;
  readonly seq: number;
  readonly instance: number;
  readonly issuedMs: number;
}

export interface LiveOutcome {
  readonly expected: number;
  readonly told: number;
  /** Published at an instance that was itself killed or cut off: nobody else can know. */
  readonly unknowable: number;
}

/** What was published lately and acknowledged. */
export class LiveLedger {
  acked: LiveMessage[] = [];

  acknowledged(message: LiveMessage): void {
    this.acked.push(message);
  }

  /** What was issued before `ms`. */
  until(ms: number): readonly LiveMessage[] {
    return this.acked.filter(({ issuedMs }) => issuedMs < ms);
  }

  /** Takes what was issued before `ms`. */
  takeUntil(ms: number): readonly LiveMessage[] {
    const taken = this.until(ms);
    this.acked = this.acked.filter(({ issuedMs }) => issuedMs >= ms);
    return taken;
  }
}

export class LiveView {
  readonly #owner: string;
  readonly #verdict: Verdict;
  /** When the server confirmed the subscription; Infinity while it is not. */
  #sinceMs = Infinity;
  #gaps: number[] = [];
  /** What came, by when. */
  readonly #got = new Map<number, number>();
  readonly #last = new Map<string, number>();

  constructor(owner: string, verdict: Verdict) {
    this.#owner = owner;
    this.#verdict = verdict;
  }

  confirmed(): void {
    this.#sinceMs = performance.now();
    this.#last.clear();
  }

  ended(): void {
    this.#sinceMs = Infinity;
  }

  gap(): void {
    this.#gaps.push(performance.now());
  }

  message(tag: string, connection: number, seq: number): void {
    const key = `${tag} ${connection}`;
    const last = this.#last.get(key) ?? 0;
    if (seq <= last) this.#verdict.violation(`${this.#owner}: ${tag} brought ${connection}/${seq} after ${last}`);
    this.#last.set(key, seq);
    this.#got.set(idOf(connection, seq), performance.now());
  }

  /** Whether some of these have neither come nor are excused by what was told, or done, since. */
  lacks(messages: readonly LiveMessage[], faults: FaultTimes): boolean {
    return messages.some((message) => this.#fateOf(message, faults) === "lost");
  }

  /** `messages`: those of tags that it covers, old enough to have come. */
  verify(messages: readonly LiveMessage[], faults: FaultTimes): LiveOutcome {
    let [expected, told, unknowable] = [0, 0, 0];
    for (const message of messages) {
      const fate = this.#fateOf(message, faults);
      if (fate !== "before") expected++;
      if (fate === "told") told++;
      if (fate === "unknowable") unknowable++;
      if (fate !== "lost") continue;
      const { tag, connection, seq, instance } = message;
      const what = `${tag} ${connection}/${seq} of instance ${instance}`;
      this.#verdict.violation(`${this.#owner}: ${what} never came, untold`);
    }
    return { expected, told, unknowable };
  }

  #fateOf(
    { connection, seq, instance, issuedMs }: LiveMessage,
    faults: FaultTimes,
  ): "before" | "came" | "told" | "unknowable" | "lost" {
    if (issuedMs <= this.#sinceMs) return "before";
    if (this.#got.has(idOf(connection, seq))) return "came";
    if (this.#gaps.some((ms) => ms >= issuedMs)) return "told";
    return faults.isAway(instance, issuedMs) ? "unknowable" : "lost";
  }

  /** Forgets what is older than `ms`. */
  verified(ms: number): void {
    this.#gaps = this.#gaps.filter((at) => at >= ms);
    // In the order in which they came.
    for (const [id, at] of this.#got) {
      if (at >= ms) break;
      this.#got.delete(id);
    }
  }
}

function idOf(connection: number, seq: number): number {
  return connection * 1e9 + seq;
}
