/** Reading logs: pages, positions, and which logs there are. */
import type { TagRule } from "../../core/tag-rule.ts";
import { literalPrefix, matcherOf } from "../../core/tag.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { LogPosition, LogTop, NamedTop, Page, PageLimits, Stored } from "../broker.ts";
import type { Calls } from "./calls.ts";
import { EntryReader } from "../entry.ts";
import { Gathering } from "./gathering.ts";
import { nameOf, type Places, slots } from "./keys.ts";
import { scripts } from "./scripts.ts";

const wants = { top: 0, position: 1, page: 2 } as const;
/** The ttl that the log remembers of the rule seen last. */
const ttlRemembered = -1;
/** Names that one scan answers with at most: Lua cannot hand out many more. */
const namesMax = 5000;

interface Wish {
  readonly wants: number;
  readonly ttlMs: number;
  readonly after: number;
  readonly limits: PageLimits;
}

/** Slot keys, and where in the first of them to begin. */
interface Scan {
  readonly from: number;
  readonly to: number;
  readonly cursor?: string;
}

/** Where each slot key is scanned on its own. */
const scansAtOnce = 64;

const nothing: PageLimits = { count: 0, bytes: 0 };

export class Reads {
  readonly #calls: Calls;
  readonly #places: Places;
  readonly #reading: Gathering;
  readonly #writer = new ByteWriter();

  constructor(calls: Calls, places: Places) {
    this.#calls = calls;
    this.#places = places;
    this.#reading = new Gathering(calls, scripts.read);
  }

  // oxlint-disable-next-line max-params -- the contract's signature
  async history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Promise<Page> {
    const ttlMs = rule.history?.ttlMs ?? 0;
    const reply = await this.#read(app, tag, { wants: wants.page, ttlMs, after, limits });
    const [position] = reply;
    const epoch = position.readUInt32BE(0);
    const oldest = position.readDoubleBE(12);
    const previous = { epoch: position.readUInt32BE(20), offset: position.readDoubleBE(24) };
    const messages = messagesOf(reply, Math.max(after, oldest - 1), limits);
    const page = { epoch, top: position.readDoubleBE(4), oldest, messages };
    return previous.epoch === 0 ? page : { ...page, previous };
  }

  async tops(app: string, tags: readonly string[]): Promise<(LogTop | null)[]> {
    const wish = { wants: wants.top, ttlMs: ttlRemembered, after: 0, limits: nothing };
    const replies = await Promise.all(tags.map((tag) => this.#read(app, tag, wish)));
    return replies.map(([position]) => topOf(position));
  }

  async changed(app: string, withinMs: number, limit: number): Promise<{ logs: NamedTop[]; more: boolean }> {
    const most = Math.min(limit, namesMax);
    const scans = this.#ranges(0, slots - 1).map((range) => this.#scan(app, { ...range, withinMs, limit: most }));
    const found = await Promise.all(scans);
    const tags = found.flatMap((one) => one.tags);
    const few = tags.slice(0, most);
    const tops = await this.tops(app, few);
    return { logs: named(few, tops), more: tags.length > few.length || found.some(({ done }) => !done) };
  }

  async logs(app: string, pattern: string, limit: number): Promise<{ logs: LogPosition[]; more: boolean }> {
    const logs: LogPosition[] = [];
    for await (const tags of this.#matching(app, pattern)) {
      const wish = { wants: wants.position, ttlMs: ttlRemembered, after: 0, limits: nothing };
      const replies = await Promise.all(tags.map((tag) => this.#read(app, tag, wish)));
      for (const [i, [position]] of replies.entries()) {
        const top = topOf(position);
        if (top === null || top.top === 0) continue;
        if (logs.length >= limit) return { logs, more: true };
        logs.push({ tag: tags[i] as string, ...top, oldest: position.readDoubleBE(12) });
      }
    }
    return { logs, more: false };
  }

  /** Tags that a pattern matches and that something was appended to once, some at a time, each once. */
  async *#matching(app: string, pattern: string): AsyncIterable<string[]> {
    const isMatch = matcherOf(pattern);
    const slot = this.#places.slotOf(app, pattern);
    const seen = new Set<string>();
    const prefix = literalPrefix(pattern);
    let scans: readonly Scan[] = this.#ranges(slot ?? 0, slot ?? slots - 1);
    while (scans.length > 0) {
      const some = scans.slice(0, scansAtOnce);
      const found = await Promise.all(some.map((scan) => this.#scan(app, { ...scan, prefix })));
      const fresh = new Set(found.flatMap(({ tags }) => tags).filter((tag) => isMatch(tag) && !seen.has(tag)));
      for (const tag of fresh) seen.add(tag);
      if (fresh.size > 0) yield [...fresh];
      const unfinished = found.flatMap(({ done, from, cursor }, i) =>
        done ? [] : [{ from, to: (some[i] as Scan).to, cursor }],
      );
      scans = [...unfinished, ...scans.slice(scansAtOnce)];
    }
  }

  /** All slot keys from one to another, in as few scans as can be. */
  #ranges(from: number, to: number): Scan[] {
    if (!this.#calls.isClustered) return [{ from, to }];
    return Array.from({ length: to - from + 1 }, (_, i) => ({ from: from + i, to: from + i }));
  }

  async #scan(
    app: string,
    scan: Scan & { readonly withinMs?: number; readonly limit?: number; readonly prefix?: string },
  ): Promise<{ tags: string[]; done: boolean; from: number; cursor: string }> {
    const writer = this.#writer;
    this.#calls.begin(writer);
    writer.u16(scan.from);
    writer.u16(scan.to);
    writer.f64(scan.withinMs ?? -1);
    writer.f64(scan.limit ?? 0);
    const start = nameOf(app, scan.prefix ?? "");
    writer.u16(Buffer.byteLength(start));
    writer.utf8(start);
    const reply = (await this.#calls.send(scripts.scan, scan.from, writer, [scan.cursor ?? "0"])) as [
      number,
      Buffer,
      ...Buffer[],
    ];
    const [from, cursor, ...names] = reply;
    const tags = names.map((name) => name.toString("utf8", Buffer.byteLength(app) + 1));
    const at = String(cursor);
    return { tags, done: from === 0 && at === "0", from, cursor: at };
  }

  async #read(app: string, tag: string, wish: Wish): Promise<[Buffer, ...Buffer[]]> {
    const { head, slot } = this.#places.of(app, tag);
    const reply = await this.#reading.ask(slot, (writer) => {
      writer.append(head);
      writer.u8(wish.wants);
      writer.f64(wish.ttlMs);
      writer.f64(wish.after);
      writer.f64(wish.limits.count);
      writer.f64(wish.limits.bytes);
    });
    return reply as [Buffer, ...Buffer[]];
  }
}

function topOf(position: Buffer): LogTop | null {
  return position.length === 0 ? null : { epoch: position.readUInt32BE(0), top: position.readDoubleBE(4) };
}

function named(tags: readonly string[], tops: readonly (LogTop | null)[]): NamedTop[] {
  return tops.flatMap((top, i) => (top === null || top.top === 0 ? [] : [{ tag: tags[i] as string, ...top }]));
}

/** The messages after `after` of a reply's entries, within the limits, at least one where there is one. */
function messagesOf([, ...fields]: readonly Buffer[], after: number, limits: PageLimits): Stored[] {
  const messages: Stored[] = [];
  let bytes = 0;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    // "offset of the last message-time"
    const [last = 0, timeMs = 0] = String(fields[i]).split("-").map(Number);
    const entry = new EntryReader(fields[i + 1] as Buffer);
    for (let offset = last - entry.count + 1; offset <= last; offset++) {
      if (offset <= after) {
        entry.skip();
        continue;
      }
      bytes += entry.nextBytes;
      if (messages.length >= limits.count || (bytes > limits.bytes && messages.length > 0)) return messages;
      const { bytes: own, payloadLength } = entry.next();
      messages.push({ bytes: own, payloadLength, offset, timeMs });
    }
  }
  return messages;
}
