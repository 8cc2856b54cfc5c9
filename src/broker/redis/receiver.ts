/**
 * What comes by the channels. A packet is what one call announced there: version, origin, call, application, then frames:
 * kind, length of the rest, index in the call, tag, and what the kind brings. Versions and kinds of later servers are
 * counted and passed over. A channel that is taken over by another brings some packets twice; they count once.
 */
import { copyOf } from "../../lib/bytes.ts";
import type { Draft, Feed, Member, Stored } from "../broker.ts";
import { EntryReader } from "../entry.ts";
import type { Interest } from "./interest.ts";
import type { OwnBatches } from "./own-batches.ts";

const packetVersion = 1;
const kinds = { log: 1, relayed: 2, presence: 3 } as const;
/** Origins that nothing was heard of for so many beats are forgotten. */
const ageMax = 600;

/** What was heard of one instance: its call that packets come of now, and the frames of it that were seen. */
interface Origin {
  call: number;
  readonly seen: Set<number>;
  age: number;
}

interface Frame {
  readonly app: string;
  readonly tag: string;
  readonly origin: string;
  readonly call: number;
  readonly index: number;
  readonly packet: Buffer;
  readonly view: DataView;
  /** Where what the kind brings begins. */
  readonly at: number;
}

export interface ReceiverParts {
  readonly feed: Feed;
  /** 8 ASCII characters. */
  readonly instance: string;
  readonly interest: Interest;
  readonly own: OwnBatches;
}

export class Receiver {
  readonly counts = { packets: 0, bytes: 0, unknown: 0, unwanted: 0, repeated: 0, malformed: 0 };
  readonly #parts: ReceiverParts;
  /** By connection and name. */
  readonly #origins = new Map<string, Origin>();

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
  }

  /** `source` is of the connection that it came by: what one call announces there comes in one piece. */
  packet(packet: Buffer, source = 0): void {
    this.counts.packets++;
    this.counts.bytes += packet.length;
    if (packet[0] !== packetVersion) {
      this.counts.unknown++;
      return;
    }
    try {
      this.#frames(packet, source);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.counts.malformed++;
    }
  }

  #frames(packet: Buffer, source: number): void {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
    const origin = packet.toString("latin1", 1, 9);
    const call = view.getUint32(9);
    let at = 14 + view.getUint8(13);
    const app = packet.toString("utf8", 14, at);
    const { interest } = this.#parts;
    const seen = this.#seen(source === 0 ? origin : `${origin} ${source}`, call);
    while (at < packet.length) {
      const kind = view.getUint8(at);
      const end = at + 5 + view.getUint32(at + 1);
      const index = view.getUint16(at + 5);
      const tagEnd = at + 9 + view.getUint16(at + 7);
      const tag = packet.toString("utf8", at + 9, tagEnd);
      at = end;
      if (!interest.has(app, tag)) this.counts.unwanted++;
      else if (seen.has(index)) this.counts.repeated++;
      else this.#frame(kind, { app, tag, origin, call, index, packet, view, at: tagEnd });
      seen.add(index);
    }
  }

  /** Copies of a frame come next to each other: one call is announced on all channels in one step. */
  #seen(name: string, call: number): Set<number> {
    let origin = this.#origins.get(name);
    if (origin === undefined) {
      origin = { call, seen: new Set(), age: 0 };
      this.#origins.set(name, origin);
    }
    origin.age = 0;
    if (origin.call !== call) {
      origin.call = call;
      origin.seen.clear();
    }
    return origin.seen;
  }

  #frame(kind: number, frame: Frame): void {
    switch (kind) {
      case kinds.log:
        return this.#messages(frame);
      case kinds.relayed:
        return this.#relayed(frame);
      case kinds.presence:
        return this.#presence(frame);
      default:
        this.counts.unknown++;
    }
  }

  #messages(frame: Frame): void {
    const { app, tag, view, packet } = frame;
    let { at } = frame;
    const epoch = view.getUint32(at);
    const first = view.getFloat64(at + 4);
    const timeMs = view.getFloat64(at + 12);
    const picked = view.getUint8(at + 20) === 1;
    at += 21;
    const { feed, instance, own } = this.#parts;
    const part = frame.origin === instance ? own.take(frame.call, frame.index) : null;
    if (part === null && !picked) {
      const entry = new EntryReader(packet, at);
      const messages = stored(entry, first, timeMs);
      feed.messages({ app, tag, epoch, first, messages, batch: null, drafts: null });
      return;
    }
    // Where some were repeated: the index of each that was not, then the messages. Their number stands behind them.
    const indexes: number[] = [];
    if (picked) {
      const count = view.getUint16(at);
      at += 2;
      for (let i = 0; i < count; i++, at += 2) indexes.push(view.getUint16(at));
    }
    if (part === null) {
      const messages = stored(new EntryReader(packet, at), first, timeMs);
      feed.messages({ app, tag, epoch, first, messages, batch: null, drafts: null });
      return;
    }
    const { batch, from, to } = part;
    const messages: Stored[] = [];
    const drafts: number[] = [];
    const count = picked ? indexes.length : to - from;
    for (let i = 0; i < count; i++) {
      const at = from + (picked ? (indexes[i] as number) : i);
      const { bytes, payloadLength } = (batch.drafts[at] as Draft).body;
      drafts.push(at);
      messages.push({ bytes, payloadLength, offset: first + i, timeMs });
    }
    feed.messages({ app, tag, epoch, first, messages, batch, drafts });
  }

  #relayed({ app, tag, origin, packet, at }: Frame): void {
    const { feed, instance } = this.#parts;
    // Delivered here when it was published.
    if (origin === instance) return;
    const entry = new EntryReader(packet, at);
    // None: the other instance could not pass on what it had.
    if (entry.count === 0) feed.relayed({ app, tag, body: null });
    for (let i = 0; i < entry.count; i++) feed.relayed({ app, tag, body: entry.next() });
  }

  #presence({ app, tag, packet, view, at }: Frame): void {
    const version = view.getFloat64(at);
    const count = view.getFloat64(at + 8);
    const joined = readMembers(packet, at + 16);
    const left = readMembers(packet, joined.end);
    this.#parts.feed.presence({ app, tag, version, count, joined: joined.members, left: left.members });
  }

  /** Time goes by. */
  beat(): void {
    for (const [name, origin] of this.#origins) if (++origin.age > ageMax) this.#origins.delete(name);
  }
}

function stored(entry: EntryReader, first: number, timeMs: number): Stored[] {
  const messages: Stored[] = [];
  for (let i = 0; i < entry.count; i++) {
    const { bytes, payloadLength } = entry.next();
    messages.push({ bytes, payloadLength, offset: first + i, timeMs });
  }
  return messages;
}

/** Members as the scripts pack them: their number, then generation, bytes of client and info, client, and info behind a 1, or 0. */
export function readMembers(source: Buffer, start: number): { readonly members: Member[]; readonly end: number } {
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  const members: Member[] = [];
  let at = start + 4;
  for (let left = view.getUint32(start); left > 0; left--) {
    const generation = view.getFloat64(at);
    const clientEnd = at + 12 + view.getUint16(at + 8);
    const end = clientEnd + view.getUint16(at + 10);
    const client = source.toString("utf8", at + 12, clientEnd);
    const info = view.getUint8(clientEnd) === 1 ? copyOf(source, clientEnd + 1, end) : null;
    members.push({ client, generation, info });
    at = end;
  }
  return { members, end: at };
}
