/**
 * What one subscription has of live-only tags: in publish order per publishing connection and tag, nothing twice, and as
 * many missing as gaps have told.
 */
import { gaps } from "../../../src/core/codes.ts";
import type { Published, Truth } from "./truth.ts";
import { promise } from "./violation.ts";

export interface LiveTrackOptions {
  /** The connection that subscribes. */
  readonly connection: number;
  /** Sequence of the next live-only message when the subscribe was sent; it is answered now. */
  readonly asked: number;
  readonly pattern: string;
  readonly matches: (tag: string) => boolean;
  /** What the answer said. */
  readonly bridged: boolean;
  /** How often the broker had been away when the subscribe was sent. */
  readonly outages: number;
}

export class LiveTrack {
  readonly #truth: Truth;
  readonly #pattern: string;
  readonly #bridged: boolean;
  readonly #outages: number;
  readonly #matches: (tag: string) => boolean;
  /** The connection that subscribes. */
  readonly #connection: number;
  /** What the server took from here on was meant for this subscription; before, down to `#asked`, it may have been. */
  readonly #from: number;
  readonly #asked: number;
  /** By tag and publishing connection: how many of its messages are dealt with. */
  readonly #done = new Map<string, Map<number, number>>();
  /** Messages that are missing, and messages that gaps have told to be. */
  #missing = 0;
  #told = 0;

  constructor(truth: Truth, { connection, asked, pattern, matches, bridged, outages }: LiveTrackOptions) {
    this.#truth = truth;
    this.#connection = connection;
    this.#asked = asked;
    this.#from = truth.sequence;
    this.#pattern = pattern;
    this.#matches = matches;
    this.#bridged = bridged;
    this.#outages = outages;
  }

  message(tag: string, payload: number): void {
    const published: Published | undefined = this.#truth.published[payload];
    const place = published?.places.get(tag);
    if (published === undefined || place === undefined) {
      return promise(false, () => `${tag} brought ${payload}, which nobody published to it`);
    }
    const { connection, echo } = published;
    promise(
      echo || connection !== this.#connection,
      () => `its own message ${payload} came back on ${tag}: echo: false`,
    );
    const entry = this.#truth.live.get(tag)?.get(connection)?.[place];
    promise(
      entry !== undefined && entry.sequence >= this.#asked,
      () => `${payload} on ${tag} is older than the subscribe`,
    );
    const done = this.#doneOf(tag, connection);
    promise(place >= done, () => `${payload} came twice or late on ${tag}, through ${this.#pattern}`);
    this.#skip(tag, connection, place);
    this.#doneTo(tag, connection, place + 1);
    promise(this.#missing <= this.#told, () => `${this.#missing} lost before ${payload} on ${tag}: ${this}`);
  }

  gap(code: number, count: number | null): void {
    if (code === gaps.disconnected.code) {
      // Of what other instances publish nothing is lost here but while they are cut off: it does not count then.
      return promise(count === null && this.#mayBeCutOff(), () => `told to be cut off: ${this.#pattern}`);
    }
    promise(count !== null && count > 0, () => `a gap without a count: ${this.#pattern}`);
    this.#told += count ?? 0;
  }

  /** Everything was read and nothing is under way: do the counts add up? */
  checkComplete(): void {
    for (const [tag, byConnection] of this.#truth.live) {
      if (!this.#matches(tag)) continue;
      for (const [connection, entries] of byConnection) {
        this.#skip(tag, connection, entries.length);
        this.#doneTo(tag, connection, entries.length);
      }
    }
    const most = this.#missing + this.#perhaps();
    promise(this.#missing <= this.#told && this.#told <= most, () => `the counts of gaps do not add up: ${this}`);
  }

  toString(): string {
    return `${this.#pattern} misses ${this.#missing}, told ${this.#told}`;
  }

  /** Its answer said so, or the broker was away since. */
  #mayBeCutOff(): boolean {
    return !this.#bridged || this.#truth.outages > this.#outages;
  }

  /** Counts what is missing before `place` and was meant for this subscription. */
  #skip(tag: string, connection: number, place: number): void {
    const entries = this.#truth.live.get(tag)?.get(connection) ?? [];
    for (let i = this.#doneOf(tag, connection); i < place; i++) {
      if (this.#isMeant(entries[i]!, connection) && entries[i]!.sequence >= this.#from) this.#missing++;
    }
  }

  #isMeant(entry: { readonly echo: boolean }, connection: number): boolean {
    return entry.echo || connection !== this.#connection;
  }

  /** Messages that may have been meant: taken between the subscribe and its answer. */
  #perhaps(): number {
    let count = 0;
    for (const [tag, byConnection] of this.#truth.live) {
      if (!this.#matches(tag)) continue;
      for (const [connection, entries] of byConnection) {
        for (const entry of entries) {
          if (entry.sequence >= this.#asked && entry.sequence < this.#from && this.#isMeant(entry, connection)) count++;
        }
      }
    }
    return count;
  }

  #doneOf(tag: string, connection: number): number {
    return this.#done.get(tag)?.get(connection) ?? 0;
  }

  #doneTo(tag: string, connection: number, place: number): void {
    let byConnection = this.#done.get(tag);
    if (byConnection === undefined) this.#done.set(tag, (byConnection = new Map()));
    byConnection.set(connection, place);
  }
}
