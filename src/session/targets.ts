/**
 * Remembers, per session, which tags were published to and that the grants allow it: a table by a hash of the tag's
 * bytes, in which a tag has one of two places and drives out who has the first. Nothing is allocated for a tag that is known.
 */
import type { Identity } from "../core/identity.ts";
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Hub } from "../hub/hub.ts";
import type { TagState } from "../hub/space.ts";
import { decodeUtf8 } from "../wire/utf8.ts";

/** Places of a table at first, and at most; powers of two. A tag that finds both its places taken doubles them. */
const placesMin = 8;
const placesMax = 4096;
/** Places of all sessions beyond the first ones. */
const placesTotalMax = 262_144;

/** Places of all tables beyond the first ones, each of which may hold on to a tag: where they are used up tables do not grow. */
export class TargetPlaces {
  used = 0;
  readonly #max: number;

  constructor(max = placesTotalMax) {
    this.#max = max;
  }

  /** Whether so many more may be used, which then are. */
  take(places: number): boolean {
    if (this.used + places > this.#max) return false;
    this.used += places;
    return true;
  }
}

export class Targets {
  readonly #hub: Pick<Hub, "target">;
  readonly #budget: TargetPlaces;
  #places: (TagState | null)[] = [];
  /** The tag found last: most sessions publish to one for long. */
  #last: TagState | null = null;

  constructor(hub: Pick<Hub, "target">, budget: TargetPlaces) {
    this.#hub = hub;
    this.#budget = budget;
  }

  /** Gives its places back; of no use any more. */
  close(): void {
    if (this.#places.length > placesMin) this.#budget.used -= this.#places.length - placesMin;
    this.#places = [];
  }

  /**
   * The state of the tag whose UTF-8 bytes stand at `start`…`end` of `frame`.
   * @throws ProtocolError `invalidTag`, `denied`
   */
  find(identity: Identity, frame: Uint8Array, start: number, end: number): TagState {
    if (this.#last !== null && isTag(this.#last, frame, start, end)) return this.#last;
    this.#last = this.#known(frame, start, end) ?? this.#learn(identity, frame, start, end);
    return this.#last;
  }

  #known(frame: Uint8Array, start: number, end: number): TagState | null {
    const places = this.#places;
    const at = hashOf(frame, start, end) & (places.length - 1);
    const one = places[at] ?? null;
    if (one !== null && isTag(one, frame, start, end)) return one;
    const other = places[at ^ 1] ?? null;
    return other !== null && isTag(other, frame, start, end) ? other : null;
  }

  #learn(identity: Identity, frame: Uint8Array, start: number, end: number): TagState {
    const tag = decodeUtf8(frame, start, end);
    if (tag === null) throw new ProtocolError(errors.invalidTag);
    const state = this.#hub.target(identity, tag);
    this.#remember(state);
    return state;
  }

  #remember(state: TagState): void {
    if (this.#places.length === 0) this.#places = new Array(placesMin).fill(null);
    const { head } = state;
    const places = this.#places;
    const at = hashOf(head, head.length - state.tagBytes, head.length) & (places.length - 1);
    if (isFree(places[at], state)) places[at] = state;
    else if (isFree(places[at ^ 1], state)) places[at ^ 1] = state;
    else if (places.length < placesMax && this.#budget.take(places.length)) {
      const known = places;
      this.#places = new Array(known.length * 2).fill(null);
      for (const other of known) if (other !== null && !other.forgotten) this.#remember(other);
      this.#remember(state);
    } else places[at] = state;
  }
}

/** Whether a place may be given to a state; an older state of the same tag has none. */
function isFree(place: TagState | null | undefined, state: TagState): boolean {
  return place === null || place === undefined || place.forgotten || place.tag === state.tag;
}

/** Whether the bytes name this tag. The state's head ends with the bytes of its tag. */
function isTag(state: TagState, frame: Uint8Array, start: number, end: number): boolean {
  const { head } = state;
  const length = end - start;
  if (state.tagBytes !== length || state.forgotten) return false;
  // Tags of one publisher differ at their end, if anywhere.
  for (let i = 1; i <= length; i++) if (head[head.length - i] !== frame[end - i]) return false;
  return true;
}

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}
