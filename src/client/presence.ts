/** Who is subscribed to a tag, from a list and the changes to it. */
import { asMembers, asNumber } from "./inbound.ts";
import type { Member, Members, PresenceChange } from "./types.ts";

export class Presence {
  readonly #tag: string;
  #version = 0;
  #count = 0;
  /** By client and generation, so that a late leave never removes a newer join; null where there are too many to list. */
  #members: Map<string, Member> | null = null;

  constructor(tag: string) {
    this.#tag = tag;
  }

  get members(): Members {
    return { version: this.#version, count: this.#count, members: this.#members && [...this.#members.values()] };
  }

  /** The list as of now; what changed since the one before, as far as both list their members. */
  reset({ version, count, members }: Members): PresenceChange {
    const before = this.#members;
    this.#version = version;
    this.#count = count;
    this.#members = members && new Map(members.map((member) => [keyOf(member), member]));
    return { tag: this.#tag, joined: [], left: [], ...this.#since(before), ...this.members };
  }

  /**
   * Op 19: `[19, tag, version, joined, left, count]`. Null where it is older than what is known, or tells nothing new: who
   * is in the list of an answer may be told again in the changes that follow it.
   */
  change(message: readonly unknown[]): PresenceChange | null {
    const [, , version, joining, leaving, count] = message;
    const number = asNumber(version) ?? 0;
    if (number <= this.#version) return null;
    const before = this.#members;
    const countBefore = this.#count;
    const told = { joined: asMembers(joining), left: asMembers(leaving) };
    const whole = Array.isArray(joining) && !Array.isArray(leaving);
    if (whole) this.#members = new Map();
    else if (!Array.isArray(leaving)) this.#members = null;
    else this.#members = before && new Map(before);
    for (const member of told.left) this.#members?.delete(keyOf(member));
    for (const member of told.joined) this.#members?.set(keyOf(member), member);
    this.#version = number;
    this.#count = asNumber(count) ?? told.joined.length;
    const change = this.#since(before) ?? (whole ? { joined: [], left: [] } : told);
    const same = before !== null && this.#members !== null && this.#count === countBefore;
    if (same && change.joined.length + change.left.length === 0) return null;
    return { tag: this.#tag, ...change, ...this.members };
  }

  /** Null where one of the two lists is not known. */
  #since(before: ReadonlyMap<string, Member> | null): Pick<PresenceChange, "joined" | "left"> | null {
    const now = this.#members;
    return before && now && { joined: missingIn(before, now), left: missingIn(now, before) };
  }
}

/** Those of `there` that `here` has not. */
function missingIn(here: ReadonlyMap<string, Member>, there: ReadonlyMap<string, Member>): Member[] {
  return [...there].flatMap(([key, member]) => (here.has(key) ? [] : [member]));
}

function keyOf({ client, generation }: Member): string {
  return `${generation} ${client}`;
}
