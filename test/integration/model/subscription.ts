/** One pattern that a reference client wants, over all its connections: what it asks, what the answer means, what comes. */
import { hasWildcard, matches } from "../../../src/core/tag.ts";
import { LiveTrack } from "./live-track.ts";
import { LogTrack, type ToldGap } from "./log-track.ts";
import type { Truth } from "./truth.ts";
import { promise } from "./violation.ts";

export type Fields = Readonly<Record<string, unknown>>;
type Position = readonly [number, number];

/** `idle`: wanted, but not asked for on this connection. */
export type SubscriptionState = "idle" | "asked" | "active" | "leaving" | "ended";

export interface SubscribeOptions {
  since?: Position | Record<string, Position>;
  last?: number;
  presence?: boolean;
}

export class ModelSubscription {
  readonly pattern: string;
  readonly wildcard: boolean;
  state: SubscriptionState = "idle";
  readonly #truth: Truth;
  readonly #matches: (tag: string) => boolean;
  readonly #logs = new Map<string, LogTrack>();
  #live: LiveTrack | null = null;
  #connection = -1;
  /** What was asked, until the answer comes. */
  #asked: SubscribeOptions = {};
  #askedSequence = 0;
  #askedOutages = 0;
  /** Messages of all clients before the answer came. */
  #publishedBefore = 0;
  #matched = new Map<string, boolean>();

  constructor(truth: Truth, pattern: string) {
    this.#truth = truth;
    this.pattern = pattern;
    this.wildcard = hasWildcard(pattern);
    this.#matches = (tag) => {
      let known = this.#matched.get(tag);
      if (known === undefined) this.#matched.set(tag, (known = matches(pattern, tag)));
      return known;
    };
  }

  covers(tag: string): boolean {
    return this.#matches(tag);
  }

  /** What it has of a log, or null. */
  position(tag: string): Position | null {
    return this.#logs.get(tag)?.position ?? null;
  }

  /** Asks on a new connection: continues where it was, if it has been anywhere. `last` counts where it has not. */
  ask(connection: number, last: number, fresh: boolean): SubscribeOptions {
    this.state = "asked";
    this.#connection = connection;
    this.#askedSequence = this.#truth.sequence;
    this.#askedOutages = this.#truth.outages;
    if (fresh) this.#logs.clear();
    const options: SubscribeOptions = {};
    if (this.wildcard) {
      const known = [...this.#logs].flatMap(([tag, track]) => (track.position === null ? [] : [[tag, track.position]]));
      if (known.length > 0) options.since = Object.fromEntries(known) as Record<string, Position>;
    } else {
      const position = this.#logs.get(this.pattern)?.position ?? null;
      if (position !== null) options.since = position;
      if (this.#truth.rule(this.pattern).presence) options.presence = true;
    }
    if (options.since === undefined && last > 0) options.last = last;
    return (this.#asked = options);
  }

  /** The connection is gone. */
  lost(): void {
    if (this.state !== "ended") this.state = "idle";
    this.#live = null;
    // Without a position nothing can be continued.
    for (const [tag, track] of this.#logs) if (track.position === null) this.#logs.delete(tag);
  }

  /** Op 16. Returns the logs that the client has to read by itself: tag, and up to where. */
  answered(result: Fields): ReadonlyMap<string, Position> {
    if (this.state !== "leaving") this.state = "active";
    this.#publishedBefore = this.#truth.published.length;
    this.#live = new LiveTrack(this.#truth, {
      connection: this.#connection,
      asked: this.#askedSequence,
      pattern: this.pattern,
      matches: this.#matches,
      bridged: result["bridged"] !== false,
      outages: this.#askedOutages,
    });
    if (this.wildcard) return this.#answeredPattern(result);
    const position = result["position"] as Position | undefined;
    promise(
      (position !== undefined) === this.#truth.keepsLog(this.pattern),
      () => `${this.pattern}: ${JSON.stringify(result)}`,
    );
    promise(!this.#asked.presence || result["presence"] !== undefined, () => `${this.pattern} has no presence`);
    if (position !== undefined) this.#take(this.pattern, position, result["recovered"]);
    return new Map();
  }

  message(tag: string, offset: number | null, payload: number, epoch: number | null): void {
    if (offset === null) this.#live?.message(tag, payload);
    else this.#track(tag).message(offset, payload, epoch);
  }

  /** Op 20 for a tag with a log. */
  gap(tag: string, gap: ToldGap): void {
    this.#track(tag).gap(gap);
  }

  /** Op 20 for what keeps no log. */
  liveGap(code: number, count: number | null): void {
    this.#live?.gap(code, count);
  }

  /** Everything was read and nothing is under way: is anything missing? */
  checkComplete(): void {
    this.#live?.checkComplete();
    for (const tag of this.#truth.loggedTags()) if (this.#matches(tag)) this.#track(tag).checkComplete();
  }

  #track(tag: string): LogTrack {
    let track = this.#logs.get(tag);
    if (track === undefined) {
      track = new LogTrack(this.#truth, tag);
      track.beginEmpty(this.#connection, this.#publishedBefore);
      this.#logs.set(tag, track);
    }
    return track;
  }

  /** The position of one log, in an answer. */
  #take(tag: string, [epoch, offset]: Position, recovered: unknown): void {
    promise(offset <= this.#truth.top(tag, epoch), () => `${tag} is said to be at ${epoch}:${offset}`);
    const since = this.wildcard ? (this.#asked.since as Fields | undefined)?.[tag] : this.#asked.since;
    if (since !== undefined) {
      promise(
        typeof recovered === "boolean",
        () => `${tag} was asked since a position, recovered: ${String(recovered)}`,
      );
      return this.#track(tag).resume(this.#connection, epoch, offset, recovered === true);
    }
    promise(recovered === undefined, () => `${tag} was asked afresh, recovered: ${String(recovered)}`);
    const last = this.#asked.last ?? (this.#truth.rule(tag).retain ? 1 : 0);
    this.#track(tag).begin(this.#connection, epoch, offset, last);
  }

  #answeredPattern(result: Fields): ReadonlyMap<string, Position> {
    const named = Object.keys(this.#asked.since ?? {});
    const positions = (result["positions"] ?? {}) as Readonly<Record<string, Position>>;
    const lost = new Set((result["lost"] ?? []) as readonly string[]);
    promise(result["more"] === undefined, () => `${this.pattern}: more logs than there are`);
    promise(
      Object.keys(positions).length === named.length,
      () => `${this.pattern}: positions ${JSON.stringify(result)}`,
    );
    for (const tag of named) {
      const position = positions[tag];
      if (position === undefined) promise(false, () => `${this.pattern}: no position for ${tag}`);
      else this.#take(tag, position, !lost.has(tag));
    }
    const appeared = new Map<string, Position>();
    for (const [tag, epoch, offset] of (result["unseen"] ?? []) as readonly (readonly [string, number, number])[]) {
      promise(this.#matches(tag) && !named.includes(tag), () => `${this.pattern} does not know ${tag} as unseen`);
      if (named.length > 0) appeared.set(tag, [epoch, offset]);
      this.#take(tag, [epoch, offset], undefined);
    }
    return appeared;
  }
}
