/** What publishers were told, and what that makes wrong about a log. */

/** A message of a log as it was read. */
export interface Read {
  readonly offset: number;
  /** Who published it, and as which of theirs. */
  readonly key: string;
}

export interface LogRead {
  readonly epoch: number;
  readonly top: number;
  readonly messages: readonly Read[];
  /** What its rule keeps at least. */
  readonly size: number;
  /** Up to where it was acknowledged before it was read. */
  readonly acknowledged: number;
}

interface TagLedger {
  epoch: number;
  /** By key. */
  readonly acknowledged: Map<string, number>;
  readonly byOffset: Map<number, string>;
  top: number;
}

export class AckLedger {
  readonly violations: string[] = [];
  acknowledged = 0;
  repeated = 0;
  readonly #tags = new Map<string, TagLedger>();

  /** A publisher was told where its message stands. */
  ack(tag: string, key: string, [epoch, offset]: readonly [number, number]): void {
    const ledger = this.#of(tag, epoch);
    if (ledger.epoch !== epoch) this.#wrong(`${tag}: epoch ${epoch} after ${ledger.epoch}, though nothing was lost`);
    ledger.epoch = epoch;
    const before = ledger.acknowledged.get(key);
    if (before !== undefined && before !== offset) this.#wrong(`${tag}: ${key} is at ${before} and at ${offset}`);
    const other = ledger.byOffset.get(offset);
    if (other !== undefined && other !== key) this.#wrong(`${tag}: ${offset} is ${other} and ${key}`);
    ledger.acknowledged.set(key, offset);
    ledger.byOffset.set(offset, key);
    ledger.top = Math.max(ledger.top, offset);
    this.acknowledged++;
  }

  /** Up to where a log has been acknowledged by now; what is read of it from now on reaches as far. */
  topOf(tag: string): number {
    return this.#tags.get(tag)?.top ?? 0;
  }

  /** A log was read from its oldest message to its newest. */
  compare(tag: string, { epoch, top, messages, size, acknowledged }: LogRead): void {
    const ledger = this.#of(tag, epoch);
    if (ledger.epoch !== epoch) this.#wrong(`${tag}: the log has epoch ${epoch}, publishers were told ${ledger.epoch}`);
    if (top < acknowledged) this.#wrong(`${tag}: the log ends at ${top}, ${acknowledged} was acknowledged`);
    const oldest = messages[0]?.offset ?? top + 1;
    if (top - oldest + 1 < Math.min(size, top)) this.#wrong(`${tag}: ${top - oldest + 1} messages are left of ${top}`);
    const keys = new Map<string, number>();
    for (const [i, { offset, key }] of messages.entries()) {
      if (offset !== oldest + i) this.#wrong(`${tag}: ${offset} comes after ${oldest + i - 1}`);
      const twice = keys.get(key);
      if (twice !== undefined) this.#wrong(`${tag}: ${key} is there twice, at ${twice} and ${offset}`);
      keys.set(key, offset);
    }
    for (const [offset, key] of ledger.byOffset) {
      if (offset < oldest) {
        ledger.byOffset.delete(offset);
        continue;
      }
      if (offset <= acknowledged && keys.get(key) !== offset)
        this.#wrong(`${tag}: ${key} was acknowledged at ${offset} and is at ${keys.get(key)}`);
    }
  }

  #of(tag: string, epoch: number): TagLedger {
    let ledger = this.#tags.get(tag);
    if (ledger === undefined) {
      ledger = { epoch, acknowledged: new Map(), byOffset: new Map(), top: 0 };
      this.#tags.set(tag, ledger);
    }
    return ledger;
  }

  #wrong(what: string): void {
    if (this.violations.length < 50) this.violations.push(what);
  }
}
