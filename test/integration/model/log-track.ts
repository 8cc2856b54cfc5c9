/**
 * What one subscription has of one log, and whether the next message or gap may come. Written from the protocol alone.
 *
 *     … delivered or told │ next … the newest
 *                         └ the next message must have this offset, unless a gap says otherwise first
 */
import type { Truth } from "./truth.ts";
import { promise } from "./violation.ts";

/** Op 20 for a tag with a log. */
export interface ToldGap {
  readonly from: number | null;
  readonly to: number;
  readonly code: number;
  readonly count: number | null;
  readonly epoch: number | null;
}

/** The code of a gap, and for which tags it may be told. */
const codes = { slow: 200, conflated: 201, trimmed: 202, epochChanged: 203 } as const;

export class LogTrack {
  readonly #truth: Truth;
  readonly #tag: string;
  /** 0: not known yet, since the tag had no log when the subscription began. */
  epoch = 0;
  next = 1;
  /** Own messages with `echo: false` after this offset are not delivered. */
  #start = 0;
  /** Own ones are recognised by the number of the connection. */
  #connection = -1;
  #asked = 0;
  /** The first message may be later than `next` if the log holds nothing before it. */
  #loose = false;
  /** The answer said `recovered: false`: the gap comes before anything else. */
  #owesGap = false;

  constructor(truth: Truth, tag: string) {
    this.#truth = truth;
    this.#tag = tag;
  }

  /** What to send as `since`; null where nothing is known. */
  get position(): readonly [number, number] | null {
    return this.epoch === 0 ? null : [this.epoch, this.next - 1];
  }

  /** A subscription without a position of its own starts at `offset`; the newest `last` messages come first. */
  begin(connection: number, epoch: number, offset: number, last: number): void {
    this.epoch = epoch;
    this.next = Math.max(1, offset + 1 - last);
    this.#reset(connection, offset);
    this.#loose = this.next <= offset;
  }

  /**
   * A log that appears after the subscription began is received from its first message. Own messages of a number below
   * `asked` may have been published before it did.
   */
  beginEmpty(connection: number, asked: number): void {
    this.#reset(connection, 0);
    this.#asked = asked;
  }

  /** The answer to `since`. */
  resume(connection: number, epoch: number, offset: number, recovered: boolean): void {
    const had = `${this.epoch}:${this.next - 1}`;
    const answer = () => `${this.#tag} since ${had}: position ${epoch}:${offset}, recovered: ${recovered}`;
    this.#reset(connection, offset);
    this.#truth.seen[recovered ? "recovered" : "lost"]++;
    if (recovered) {
      promise(epoch === this.epoch, () => `another epoch was recovered: ${answer()}`);
      promise(offset >= this.next - 1, () => `the position went back: ${answer()}`);
      return;
    }
    const lost = epoch !== this.epoch || this.#truth.isTrimmed(this.#tag, epoch, this.next + 1);
    promise(lost, () => `what the log holds was not recovered: ${answer()}`);
    this.#owesGap = true;
  }

  /** `epoch`: named by the message, or null. */
  message(offset: number, payload: number, epoch: number | null): void {
    promise(this.#fits(offset, payload, epoch), () => this.#whyNot(offset, payload, epoch));
    if (epoch !== null) this.epoch = epoch;
    this.#checkEcho(offset, payload);
    this.#loose = false;
    this.next = offset + 1;
  }

  gap(gap: ToldGap): void {
    this.#checkCode(gap);
    promise(this.#applies(gap), () => `a gap that does not follow: ${text(gap)}: ${this}`);
    // What it published itself under a new epoch is not delivered either, unless the answer's position is in it.
    if (gap.epoch !== null && !this.#owesGap) this.#start = 0;
    this.epoch = gap.epoch ?? this.epoch;
    this.next = gap.to + 1;
    this.#loose = false;
    this.#owesGap = false;
  }

  /** Everything was read and nothing is under way: is anything missing? */
  checkComplete(): void {
    const log = this.#truth.now(this.#tag);
    if (log === null) return;
    // Of a log that has only its own messages it does not hear at all.
    const known = this.epoch === 0 || this.epoch === log.epoch;
    const complete = known && !this.#owesGap && this.#missing(log.top + 1) === null;
    promise(complete, () => `messages up to ${log.epoch}:${log.top} never came: ${this}`);
  }

  toString(): string {
    return `${this.#tag} has all before ${this.epoch}:${this.next}${this.#owesGap ? ", owes a gap" : ""}`;
  }

  #reset(connection: number, start: number): void {
    this.#connection = connection;
    this.#start = start;
    this.#asked = 0;
    this.#loose = false;
    this.#owesGap = false;
  }

  #fits(offset: number, payload: number, epoch: number | null): boolean {
    if (this.#owesGap || offset < this.next) return false;
    const known = epoch ?? this.epoch;
    if (this.epoch !== 0 && known !== this.epoch) return false;
    if (this.#truth.at(this.#tag, known, offset) !== payload) return false;
    const before = this.epoch;
    this.epoch = known;
    const missing = this.#missing(offset);
    this.epoch = before;
    return missing === null;
  }

  /** The first offset before `end` that should have come, or null. */
  #missing(end: number): number | null {
    let next = this.next;
    if (this.#loose && end > next && this.#truth.isTrimmed(this.#tag, this.epoch, Math.min(end, this.#start + 1))) {
      next = Math.min(end, this.#start + 1);
    }
    for (; next < end; next++) if (!this.#isOwn(next)) return next;
    return null;
  }

  /** Whether the message was published by this connection, which does not want it back. */
  #isOwn(offset: number): boolean | "perhaps" {
    if (offset <= this.#start) return false;
    const epoch = this.epoch === 0 ? (this.#truth.now(this.#tag)?.epoch ?? 0) : this.epoch;
    const payload = this.#truth.at(this.#tag, epoch, offset);
    const isOwn = this.#truth.isOwn(payload, this.#connection);
    return isOwn && (payload ?? 0) < this.#asked ? "perhaps" : isOwn;
  }

  #checkEcho(offset: number, payload: number): void {
    const told = () => `its own message ${payload} came back although it said echo: false: ${this}`;
    promise(this.#isOwn(offset) !== true, told);
  }

  #applies({ from, to, epoch }: ToldGap): boolean {
    if (epoch !== null) return from === null && epoch !== this.epoch;
    if (from === null || to < from) return false;
    return to >= this.next && this.#missing(from) === null;
  }

  #checkCode({ from, to, code, count, epoch }: ToldGap): void {
    const { delivery } = this.#truth.rule(this.#tag);
    const gap = () => `${this.#tag} ${text({ from, to, code, count, epoch })}`;
    promise(count === null || (from !== null && count === to - from + 1), () => `a wrong count: ${gap()}`);
    if (code === codes.trimmed) {
      const held = this.epoch !== 0 && !this.#truth.isTrimmed(this.#tag, this.epoch, to + 1);
      promise(!held, () => `told to be trimmed, but the log holds it: ${gap()}`);
    } else if (code === codes.slow) promise(delivery === "stream", () => `dropped from a ${delivery} tag: ${gap()}`);
    else if (code === codes.conflated) promise(delivery === "latest", () => `conflated on a ${delivery} tag: ${gap()}`);
    else promise(code === codes.epochChanged && epoch !== null, () => `an unknown code: ${gap()}`);
  }

  #whyNot(offset: number, payload: number, epoch: number | null): string {
    const really = this.#truth.at(this.#tag, epoch ?? this.epoch, offset);
    if (this.#owesGap) return `${offset} came before the gap that recovered: false announces: ${this}`;
    if (epoch !== null && this.epoch !== 0 && epoch !== this.epoch) return `epoch ${epoch} began untold: ${this}`;
    if (really !== payload)
      return `${offset} brought ${payload}, not ${really ?? "nothing, as the broker has it"}: ${this}`;
    if (offset < this.next) return `${offset} came twice or late: ${this}`;
    return `${offset} came, ${this.#missing(offset)} did not and no gap was told: ${this}`;
  }
}

function text({ from, to, code, count, epoch }: ToldGap): string {
  return `gap ${from}…${to} code ${code} count ${count} epoch ${epoch}`;
}
