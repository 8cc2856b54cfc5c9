/** Who is subscribed to a tag, from a list and the changes to it. */
import { asList, asMembers, asNumber } from "./inbound.ts";
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

  /** The list as of now. */
  reset({ version, count, members }: Members): void {
    this.#version = version;
    this.#count = count;
    this.#members = members && new Map(members.map((member) => [keyOf(member), member]));
  }

  /** Op 19: `[19, tag, version, joined, left, count]`. Null where it is older than what is known. */
  change(message: readonly unknown[]): PresenceChange | null {
    const [, , version, joining, leaving, count] = message;
    const number = asNumber(version) ?? 0;
    if (number <= this.#version) return null;
    const joined = asMembers(joining);
    const left = asMembers(leaving);
    const whole = Array.isArray(joining) && !Array.isArray(leaving);
    if (whole) this.#members = new Map();
    else if (!Array.isArray(leaving)) this.#members = null;
    for (const member of joined) this.#members?.set(keyOf(member), member);
    for (const member of left) this.#members?.delete(keyOf(member));
    this.#version = number;
    this.#count = asNumber(count) ?? asList(joining).length;
    return { tag: this.#tag, joined, left, ...this.members };
  }
}

function keyOf({ client, generation }: Member): string {
  return `${generation} ${client}`;
}
