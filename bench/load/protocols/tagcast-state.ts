/** What both forms of tagcast's protocol share: answers, gaps, and positions. */
import type { Events, Position } from "../protocol.ts";

/** What the bench's servers are started with: may do everything. */
export const adminToken = "benchmark-admin-token";
export const adminHeaders = { authorization: `Bearer ${adminToken}` };

export const op = {
  subscribe: 2,
  publish: 4,
  ok: 16,
  error: 17,
  message: 18,
  gap: 20,
  unsubscribed: 21,
  disconnect: 22,
} as const;

/** Refs from here on are of publishes, in the form of five bytes; those below are of subscribes. */
const publishRefMin = 0x1_0000;
const refMax = 0xffff_ffff;

export class TagcastState {
  readonly events: Events;
  readonly #epochs = new Map<string, number>();
  /** Of tags with a log; but see `sole`. */
  readonly #offsets = new Map<string, number>();
  /** The one tag that is subscribed to: its offset stands beside it, so that no name is read for each message. */
  #sole: string | null = null;
  #soleOffset = -1;
  /** Patterns by the ref of their op 2. */
  readonly #subscribing = new Map<number, string>();
  #publishRef = publishRefMin - 1;

  constructor(events: Events) {
    this.events = events;
  }

  /** The ref to subscribe with. */
  subscribing(pattern: string, since: Position | undefined): number {
    const ref = this.#subscribing.size + 1;
    this.#subscribing.set(ref, pattern);
    if (ref === 1 && !/[+#]/.test(pattern)) this.#sole = pattern;
    else this.#manyTags();
    if (since !== undefined) this.#setOffset(pattern, since[1]);
    return ref;
  }

  publishing(): number {
    this.#publishRef = this.#publishRef === refMax ? publishRefMin : this.#publishRef + 1;
    return this.#publishRef;
  }

  position(tag: string): Position | null {
    const epoch = this.#epochs.get(tag);
    const offset = this.#offset(tag);
    return epoch === undefined || offset < 0 ? null : [epoch, offset];
  }

  /** Of a message from the log of the tag that stands in `bytes`; false where it was delivered before. */
  moved(bytes: Uint8Array, tagStart: number, tagEnd: number, offset: number): boolean {
    if (this.#sole !== null) {
      if (offset <= this.#soleOffset) return false;
      this.#soleOffset = offset;
      return true;
    }
    // Tags of the bench are ASCII.
    const tag = Buffer.prototype.latin1Slice.call(bytes, tagStart, tagEnd);
    if (offset <= this.#offset(tag)) return false;
    this.#offsets.set(tag, offset);
    return true;
  }

  /** Any message but those delivered. */
  answered(message: readonly unknown[]): void {
    const [number, second, third, fourth, fifth] = message;
    const ref = second as number;
    if (number === op.ok) this.#ok(ref, third as Result);
    else if (number === op.gap)
      this.#gap(second as string, third as number | null, fourth as number | null, fifth as GapDetail);
    else if (number === op.error) this.events.failed(`Refused with ${String(third)}: ${String(fourth)}`);
    else if (number === op.unsubscribed) this.events.failed(`Unsubscribed with ${String(third)}: ${String(fourth)}`);
    else if (number === op.disconnect) this.events.failed(`Disconnected with ${String(second)}: ${String(third)}`);
  }

  #ok(ref: number, result: Result): void {
    if (ref >= publishRefMin) return this.events.acknowledged(1);
    const pattern = this.#subscribing.get(ref);
    const { position, start } = result;
    if (pattern !== undefined && position !== undefined) {
      this.#epochs.set(pattern, position[0]);
      if (this.#offset(pattern) < 0) this.#setOffset(pattern, start ?? position[1]);
    }
    this.events.subscribed();
  }

  #gap(name: string, from: number | null, to: number | null, detail: GapDetail): void {
    this.events.told(detail.count ?? (from !== null && to !== null ? to - from + 1 : 1));
    if (to !== null) this.#setOffset(name, to);
    if (detail.epoch !== undefined) this.#epochs.set(name, detail.epoch);
  }

  /** −1: not known. */
  #offset(tag: string): number {
    return tag === this.#sole ? this.#soleOffset : (this.#offsets.get(tag) ?? -1);
  }

  #setOffset(tag: string, offset: number): void {
    if (tag === this.#sole) this.#soleOffset = offset;
    else this.#offsets.set(tag, offset);
  }

  #manyTags(): void {
    if (this.#sole !== null && this.#soleOffset >= 0) this.#offsets.set(this.#sole, this.#soleOffset);
    this.#sole = null;
  }
}

interface Result {
  readonly position?: Position;
  readonly start?: number;
}

interface GapDetail {
  readonly count?: number;
  readonly epoch?: number;
}
