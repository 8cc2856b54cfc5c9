/** Who is subscribed where, in this process. A tag without members costs nothing; its version still never goes back. */
import { membersListedMax } from "../../core/presence.ts";
import type { Member, Members, PresenceEvent } from "../broker.ts";

interface Present {
  readonly members: Map<string, Member>;
  version: number;
}

export class Presence {
  readonly #apps = new Map<string, Map<string, Present>>();
  readonly #announce: (event: PresenceEvent) => void;
  /** One counter for all tags: a tag that lost its last member needs no memory of its own version. */
  #version = 0;
  #count = 0;

  constructor(announce: (event: PresenceEvent) => void) {
    this.#announce = announce;
  }

  /** Members of all tags. */
  get count(): number {
    return this.#count;
  }

  /** A member that is there already with the same info changes nothing; with another info it is announced again. */
  join(app: string, tag: string, member: Member): void {
    let tags = this.#apps.get(app);
    if (!tags) this.#apps.set(app, (tags = new Map()));
    let present = tags.get(tag);
    if (!present) tags.set(tag, (present = { members: new Map(), version: 0 }));
    const key = identity(member);
    const known = present.members.get(key);
    if (known && isSameInfo(known.info, member.info)) return;
    if (!known) this.#count++;
    present.members.set(key, member);
    present.version = ++this.#version;
    this.#announce({ app, tag, version: present.version, joined: [member], left: [], count: present.members.size });
  }

  /** Does nothing for a member that is not there: an older generation cannot remove a newer one. */
  leave(app: string, tag: string, member: Member): void {
    const tags = this.#apps.get(app);
    const present = tags?.get(tag);
    const known = present?.members.get(identity(member));
    if (!tags || !present || !known) return;
    this.#count--;
    present.members.delete(identity(member));
    present.version = ++this.#version;
    const count = present.members.size;
    if (count === 0) tags.delete(tag);
    if (tags.size === 0) this.#apps.delete(app);
    this.#announce({ app, tag, version: present.version, joined: [], left: [known], count });
  }

  members(app: string, tag: string): Members {
    const present = this.#apps.get(app)?.get(tag);
    if (!present) return { version: this.#version, count: 0, members: [] };
    const count = present.members.size;
    return {
      version: present.version,
      count,
      members: count > membersListedMax ? null : [...present.members.values()],
    };
  }
}

function identity(member: Member): string {
  return `${member.generation} ${member.client}`;
}

function isSameInfo(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === b || (a !== null && b !== null && Buffer.compare(a, b) === 0);
}
