/**
 * What a subscription has of each log, and what that means for the next offset: deliver, drop, or tell a gap. Pure
 * bookkeeping: no I/O, no timers.
 *
 *     offset     highest one delivered: everything up to it is old
 *     told       highest one that a gap has accounted for: the next expected is max(offset, told) + 1
 */
import type { Position } from "../core/position.ts";
import { asNumber, type Fields } from "./inbound.ts";
import type { OwnTags } from "./own-tags.ts";
import type { Gap, GapReason } from "./types.ts";

/** Beyond so many tags a pattern's positions are no longer kept, and recovery after a reconnect is told to be incomplete. */
const tracksMax = 10_000;

interface Track {
  epoch: number;
  offset: number;
  told: number;
  /** Offset of a retained copy that may come although it is not newer; 0: none. */
  retained: number;
  /** The next message may jump: what is before it was asked to be left out, or has been told. */
  loose: boolean;
  /** Something is missing that no gap has told yet: the server is about to. */
  untold: boolean;
}

export class Positions {
  readonly #pattern: string;
  readonly #gap: (gap: Gap) => void;
  readonly #ownTags: Pick<OwnTags, "has">;
  readonly #tracks = new Map<string, Track>();
  /** Whether every matching tag with a log is known. */
  complete = false;

  constructor(pattern: string, gap: (gap: Gap) => void, ownTags: Pick<OwnTags, "has">) {
    this.#pattern = pattern;
    this.#gap = gap;
    this.#ownTags = ownTags;
  }

  get size(): number {
    return this.#tracks.size;
  }

  tags(): Iterable<string> {
    return this.#tracks.keys();
  }

  /** Up to where everything was delivered or told. */
  get(tag: string): Position | null {
    const track = this.#tracks.get(tag);
    return track ? { epoch: track.epoch, offset: Math.max(track.offset, track.told) } : null;
  }

  /** Everything up to `position` counts as delivered. With `loose` the next message may jump. */
  set(tag: string, { epoch, offset }: Position, loose = false): void {
    this.#put(tag, { epoch, offset, told: 0, retained: 0, loose, untold: false });
  }

  delete(tag: string): void {
    this.#tracks.delete(tag);
  }

  /** A fresh subscription at the top of a log, of which the newest `last` come first; with 0 the retained one may. */
  begin(tag: string, { epoch, offset }: Position, last: number): void {
    if (last > 0) return this.set(tag, { epoch, offset: Math.max(0, offset - last) }, true);
    this.#put(tag, { epoch, offset, told: 0, retained: offset, loose: false, untold: false });
  }

  /** The server took up at our position; a new epoch that continues the old one keeps counting. */
  resume(tag: string, epoch: number): void {
    const track = this.#tracks.get(tag);
    if (track) track.epoch = epoch;
  }

  /** The server could not take up at our position in full: a gap is to come, then what the log still holds. */
  miss(tag: string, epoch: number): void {
    const track = this.#tracks.get(tag);
    const same = track?.epoch === epoch;
    const offset = same ? track.offset : 0;
    this.#put(tag, { epoch, offset, told: same ? track.told : 0, retained: 0, loose: true, untold: true });
  }

  /** Whether a gap is still to be told. */
  get untold(): boolean {
    for (const track of this.#tracks.values()) if (track.untold) return true;
    return false;
  }

  /** Tells the gaps that the server should have told by now. */
  tellMissed(): void {
    for (const [tag, track] of this.#tracks) if (track.untold) this.#tellMissed(tag, track, null);
  }

  /** Whether to deliver `offset`; raises a gap where messages before it are missing. `epoch` is known on wildcards only. */
  admit(tag: string, offset: number, epoch: number | null): boolean {
    const track = this.#tracks.get(tag);
    if (track === undefined) return this.#admitNew(tag, offset, epoch);
    if (epoch !== null && epoch !== track.epoch) {
      this.raise("jump", tag, { epoch });
      this.set(tag, { epoch, offset });
      return true;
    }
    const { retained } = track;
    track.retained = 0;
    if (retained > 0 && offset === retained) return true;
    if (offset <= track.offset) return false;
    const expected = Math.max(track.offset, track.told) + 1;
    if (track.untold) this.#tellMissed(tag, track, offset - 1);
    else if (offset > expected && !track.loose) this.#jump(tag, { from: expected, to: offset - 1 });
    track.loose = false;
    track.offset = offset;
    return true;
  }

  /** Op 20 for a tag: `[20, tag, from, to, detail]`. */
  told(tag: string, from: number | null, to: number | null, detail: Fields): void {
    const epoch = asNumber(detail["epoch"]);
    const track = this.#tracks.get(tag);
    if (to !== null && track) {
      const reached = Math.max(track.offset, track.told);
      const same = epoch === null || epoch === track.epoch;
      // Old news: this subscription is past it, or another one of the same tag was meant too.
      if (same && to <= reached && !track.untold) return;
      const untold = from !== null && from > reached + 1 && !track.loose;
      if (same && untold) this.#jump(tag, { from: reached + 1, to: from - 1 });
      this.#account(tag, track, to, epoch);
    }
    if (to !== null && epoch !== null && !track) this.set(tag, { epoch, offset: to });
    this.raise("told", tag, { from, to, epoch, code: asNumber(detail["code"]), count: asNumber(detail["count"]) });
  }

  raise(reason: GapReason, tag: string, detail: Partial<Omit<Gap, "reason" | "tag" | "pattern">> = {}): void {
    const none = { from: null, to: null, code: null, count: null, epoch: null };
    this.#gap({ tag, pattern: this.#pattern, reason, ...none, ...detail });
  }

  #jump(tag: string, detail: Partial<Gap>): void {
    if (!this.#ownTags.has(tag)) this.raise("jump", tag, detail);
  }

  #account(tag: string, track: Track, to: number, epoch: number | null): void {
    if (epoch !== null && epoch !== track.epoch) return this.set(tag, { epoch, offset: to });
    track.told = Math.max(track.told, to);
    track.untold = track.loose = false;
  }

  #admitNew(tag: string, offset: number, epoch: number | null): boolean {
    if (epoch === null) return true;
    if (this.complete && offset > 1) this.#jump(tag, { from: 1, to: offset - 1, epoch });
    this.set(tag, { epoch, offset });
    return true;
  }

  #tellMissed(tag: string, track: Track, to: number | null): void {
    track.untold = false;
    // Nothing of this epoch was delivered: where the gap begins lies in another one.
    const from = track.offset > 0 ? track.offset + 1 : null;
    const known = to !== null && to >= (from ?? 1);
    this.raise("not-recovered", tag, { from: known ? from : null, to: known ? to : null, epoch: track.epoch });
  }

  #put(tag: string, track: Track): void {
    if (!this.#tracks.has(tag) && this.#tracks.size >= tracksMax) this.complete = false;
    else this.#tracks.set(tag, track);
  }
}
