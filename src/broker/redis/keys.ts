/**
 * Where things stand in Redis. Keys and channels of a tag carry `{slot}`, a hash of its application and first levels, so
 * that in a Redis Cluster everything about a tag is on one server; what users name never stands inside the braces.
 */
import { hasWildcard } from "../../core/tag.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { Body } from "../../wire/messages.ts";

/** Slot keys: enough to spread over any cluster, and few enough to look at all of them. */
export const slots = 1024;

/** Channel on which an instance hears its own heartbeat. `instance` is ASCII. */
export function inboxOf(instance: string): string {
  return `tc1:{all}:i:${instance}`;
}

/** A tag's place: what every command about it begins with, and the channels on which it is announced. */
export interface Place {
  readonly app: string;
  readonly tag: string;
  readonly slot: number;
  /** Slot, bytes of both prefixes, of the application and of the name, and the name, as the scripts read them. */
  readonly head: Uint8Array;
  /** What `relays.ts` has gathered for it and not yet sent. */
  gathered: { readonly body: Body }[] | null;
}

/** Places kept; each costs some 500 bytes. */
const placesMax = 50_000;

export class Places {
  readonly slotLevels: number;
  readonly #apps = new Map<string, Map<string, Place>>();
  readonly #writer = new ByteWriter();
  #count = 0;

  constructor(slotLevels: number) {
    this.slotLevels = slotLevels;
  }

  /** The place of a valid tag. */
  of(app: string, tag: string): Place {
    let tags = this.#apps.get(app);
    if (tags === undefined) this.#apps.set(app, (tags = new Map()));
    const known = tags.get(tag);
    if (known !== undefined) return known;
    if (this.#count >= placesMax) {
      this.#apps.clear();
      this.#count = 0;
      this.#apps.set(app, (tags = new Map()));
    }
    const place = this.#make(app, tag);
    tags.set(tag, place);
    this.#count++;
    return place;
  }

  #make(app: string, tag: string): Place {
    const { slotLevels } = this;
    const slot = slotOf(app, tag, slotLevels);
    const bytesOf = (levels: number) => {
      const prefix = prefixOf(tag, levels);
      return prefix === null ? 0 : Buffer.byteLength(nameOf(app, prefix));
    };
    const writer = this.#writer;
    writer.reset();
    writer.u16(slot);
    writer.u16(bytesOf(slotLevels));
    writer.u16(bytesOf(slotLevels + 1));
    writer.u8(Buffer.byteLength(app));
    const name = nameOf(app, tag);
    writer.u16(Buffer.byteLength(name));
    writer.utf8(name);
    return { app, tag, slot, head: writer.copy(), gathered: null };
  }

  /**
   * The channels that bring all of what a valid pattern matches, the narrowest first. The last is the firehose of the
   * application, which brings everything.
   */
  channels(app: string, pattern: string): readonly string[] {
    const { slotLevels } = this;
    const base = `tc1:{${slotOf(app, pattern, slotLevels)}}:`;
    const wild = hasWildcard(pattern);
    const channels = wild ? [] : [`${base}c:${nameOf(app, pattern)}`];
    const literal = wild ? literalLevels(pattern) : pattern;
    for (const levels of [slotLevels + 1, slotLevels]) {
      const prefix = literal === null ? null : prefixOf(literal, levels);
      if (prefix !== null) channels.push(`${base}p:${nameOf(app, prefix)}`);
    }
    channels.push(`tc1:f:${app}`);
    return channels;
  }

  /** The slot key that holds all tags which a pattern matches, or null: any may. */
  slotOf(app: string, pattern: string): number | null {
    if (!hasWildcard(pattern)) return slotOf(app, pattern, this.slotLevels);
    const literal = literalLevels(pattern);
    if (literal === null || prefixOf(literal, this.slotLevels) === null) return null;
    return slotOf(app, literal, this.slotLevels);
  }
}

/** NUL stands in no tag and in no application's name. */
export function nameOf(app: string, tag: string): string {
  return `${app}\0${tag}`;
}

/** The levels before the first wildcard; null: none. */
function literalLevels(pattern: string): string | null {
  const before = pattern.slice(0, pattern.search(/[+#]/));
  return before.length === 0 ? null : before.slice(0, -1);
}

/** The first `levels` levels of a tag, null where it has fewer. */
function prefixOf(tag: string, levels: number): string | null {
  let end = -1;
  for (let i = 0; i < levels; i++) {
    end = tag.indexOf("/", end + 1);
    if (end < 0) return i === levels - 1 ? tag : null;
  }
  return tag.slice(0, end);
}

/** FNV-1a of the application and the first levels (all, where there are fewer). */
function slotOf(app: string, tag: string, slotLevels: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(nameOf(app, prefixOf(tag, slotLevels) ?? tag))) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return ((hash ^ (hash >>> 16)) >>> 0) % slots;
}
