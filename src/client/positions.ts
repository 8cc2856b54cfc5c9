/**
 * What a subscription has of each log, and what that means for the next offset: deliver, drop, or tell a gap. Pure
 * bookkeeping: no I/O, no timers.
 */
import type { Position } from "../core/position.ts";
import type { OwnTags } from "./own-tags.ts";
import type { Gap, GapReason } from "./types.ts";

/** Beyond so many tags a pattern's positions are no longer kept, and recovery after a reconnect is told to be incomplete. */
const tracksMax = 10_000;

interface Track {
  epoch: number;
  /** Up to here everything was delivered or told. */
  offset: number;
  /** The next message may jump: what is before it has been told, or is about to be. */
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
    return track ? { epoch: track.epoch, offset: track.offset } : null;
  }

  /** Everything up to the position counts as delivered. With `loose` the next message may jump. */
  set(tag: string, { epoch, offset }: Position, loose = false): void {
    this.#put(tag, { epoch, offset, loose, untold: false });
  }

  delete(tag: string): void {
    this.#tracks.delete(tag);
  }

  /** The server took up at our position; a new epoch that continues the old one keeps counting. */
  resume(tag: string, epoch: number): void {
    const track = this.#tracks.get(tag);
    if (track) track.epoch = epoch;
  }

  /** The server could not take up at our position in full: a gap is to come, then what the log still holds. */
  miss(tag: string, epoch: number): void {
    const track = this.#tracks.get(tag);
    const offset = track?.epoch === epoch ? track.offset : 0;
    this.#put(tag, { epoch, offset, loose: true, untold: true });
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
    if (offset <= track.offset) return false;
    if (track.untold) this.#tellMissed(tag, track, offset - 1);
    else this.#expect(tag, track, offset);
    track.loose = false;
    track.offset = offset;
    return true;
  }

  /** Op 20: everything up to `to` has been told, also where that is behind what was delivered of a log that lost its end. */
  told(tag: string, { from, to, epoch }: Pick<Gap, "from" | "to" | "epoch">): void {
    const track = this.#tracks.get(tag);
    if (to === null) return;
    if (track && epoch === null && from !== null) this.#expect(tag, track, from);
    const known = epoch ?? track?.epoch;
    if (known !== undefined) this.set(tag, { epoch: known, offset: to });
  }

  raise(reason: GapReason, tag: string, detail: Partial<Omit<Gap, "reason" | "tag" | "pattern">> = {}): void {
    const none = { from: null, to: null, code: null, count: null, epoch: null };
    this.#gap({ tag, pattern: this.#pattern, reason, ...none, ...detail });
  }

  /** Raises a gap where `offset` is not the next one. */
  #expect(tag: string, { offset: last, loose }: Track, offset: number): void {
    if (offset > last + 1 && !loose) this.#jump(tag, { from: last + 1, to: offset - 1 });
  }

  #jump(tag: string, detail: Partial<Gap>): void {
    if (!this.#ownTags.has(tag)) this.raise("jump", tag, detail);
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
