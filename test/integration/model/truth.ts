/**
 * What really happened: every message that was published, where the broker put it, and in which order the server took
 * the live-only ones. The reference clients are checked against it; nothing of it comes from the hub.
 */
import type {
  Answer,
  Appended,
  Batch,
  Broker,
  Draft,
  Feed,
  LogPosition,
  Member,
  Page,
  PageLimits,
} from "../../../src/broker/broker.ts";
import type { MemoryBroker } from "../../../src/broker/memory.ts";
import type { TagRule } from "../../../src/core/tag-rule.ts";
import { ruleOf } from "../../../src/core/tag-rule.ts";
import type { Body } from "../../../src/wire/messages.ts";
import { promise } from "./violation.ts";

/** A publish on its way. */
interface Sent {
  /** Number of the connection. */
  readonly connection: number;
  readonly echo: boolean;
}

/** One message of one client; its number is the payload. */
export interface Published extends Sent {
  readonly keyed: boolean;
  /** Each time that it was sent: with a key it may be sent again. */
  readonly sent: Sent[];
  /** For each live-only tag that it went to: its place in `Truth.live` of that tag and connection. */
  readonly places: Map<string, number>;
}

/** A live-only message in the order in which the server took it. */
export interface LiveEntry {
  /** Grows over all live-only messages. */
  readonly sequence: number;
  readonly echo: boolean;
}

export const app = "main";

/** How often the clients of a run came by what the promises are about: a model that sees none of it proves nothing. */
export class Seen {
  messages = 0;
  /** Answers with `recovered: true`, or a log of a pattern that was recovered whole; and those that were not. */
  recovered = 0;
  lost = 0;
  repeated = 0;
  /** By code. */
  readonly gaps: Record<number, number> = {};
}

export class Truth {
  readonly rules: readonly TagRule[];
  readonly seen = new Seen();
  readonly published: Published[] = [];
  /** How often clients of live-only tags may have been told that other instances were cut off. */
  outages = 0;
  /** By tag and connection. */
  readonly live = new Map<string, Map<number, LiveEntry[]>>();
  /** The next live-only message gets this sequence. */
  sequence = 0;
  /** By tag and epoch: the payload at each offset; nothing stands at 0. */
  readonly #logs = new Map<string, Map<number, number[]>>();
  readonly #rules = new Map<string, TagRule>();
  /** The newest message of a connection to a tag. */
  readonly #newest = new Map<string, number>();
  readonly #memory: MemoryBroker;

  constructor(rules: readonly TagRule[], memory: MemoryBroker) {
    this.rules = rules;
    this.#memory = memory;
  }

  rule(tag: string): TagRule {
    let rule = this.#rules.get(tag);
    if (rule === undefined) this.#rules.set(tag, (rule = ruleOf(this.rules, tag)));
    return rule;
  }

  keepsLog(tag: string): boolean {
    return this.rule(tag).history !== null;
  }

  /** A client is about to publish; the number is its payload. */
  publish(connection: number, echo: boolean, keyed: boolean): number {
    return this.published.push({ connection, echo, keyed, sent: [{ connection, echo }], places: new Map() }) - 1;
  }

  /** A client is about to send a message again. */
  publishAgain(payload: number, connection: number, echo: boolean): void {
    this.published[payload]?.sent.push({ connection, echo });
  }

  /** Whether a connection published a message and does not want it back; "perhaps" where that depends on which copy counted. */
  isOwn(payload: number | undefined, connection: number): boolean | "perhaps" {
    const sent = payload === undefined ? [] : (this.published[payload]?.sent ?? []);
    const isOwn = (one: Sent) => one.connection === connection && !one.echo;
    if (sent.length > 0 && sent.every(isOwn)) return true;
    return sent.some(isOwn) && "perhaps";
  }

  /** The server took a live-only message. */
  took(tag: string, payload: number): void {
    const { connection, echo, places } = this.published[payload]!;
    let byConnection = this.live.get(tag);
    if (byConnection === undefined) this.live.set(tag, (byConnection = new Map()));
    let entries = byConnection.get(connection);
    if (entries === undefined) byConnection.set(connection, (entries = []));
    places.set(tag, entries.push({ sequence: this.sequence++, echo }) - 1);
    this.#checkOrder(tag, payload);
  }

  /** The broker kept a message. */
  kept(tag: string, epoch: number, offset: number, payload: number): void {
    let byEpoch = this.#logs.get(tag);
    if (byEpoch === undefined) this.#logs.set(tag, (byEpoch = new Map()));
    let payloads = byEpoch.get(epoch);
    if (payloads === undefined) byEpoch.set(epoch, (payloads = [-1]));
    promise(payloads.length === offset, () => `the broker put a message of ${tag} at ${epoch}:${offset}`);
    payloads.push(payload);
    // With a key it may have been sent before, and again.
    if (!this.published[payload]!.keyed) this.#checkOrder(tag, payload);
  }

  /** What one connection sends to a tag is taken in the order in which it was sent. */
  #checkOrder(tag: string, payload: number): void {
    const key = `${this.published[payload]!.connection} ${tag}`;
    const before = this.#newest.get(key) ?? -1;
    promise(payload > before, () => `${payload} was taken after ${before}, which was sent to ${tag} later`);
    this.#newest.set(key, payload);
  }

  /** The payload at a position, or undefined. */
  at(tag: string, epoch: number, offset: number): number | undefined {
    return this.#logs.get(tag)?.get(epoch)?.[offset];
  }

  /** The newest offset ever given in an epoch. */
  top(tag: string, epoch: number): number {
    return (this.#logs.get(tag)?.get(epoch)?.length ?? 1) - 1;
  }

  /** The log as it is now, or null where there is none or nothing was ever appended to it. Disturbs nothing. */
  now(tag: string): LogPosition | null {
    return this.#memory.logs(app, tag, 1).logs[0] ?? null;
  }

  /** Whether the log holds nothing before `offset` of `epoch` any more. */
  isTrimmed(tag: string, epoch: number, offset: number): boolean {
    const log = this.now(tag);
    return log === null || log.epoch !== epoch || log.oldest >= offset;
  }

  /** Tags that something was ever kept of. */
  loggedTags(): Iterable<string> {
    return this.#logs.keys();
  }
}

/** Hands everything on, and tells the truth what was appended. */
export class RecordingBroker implements Broker {
  readonly #inner: MemoryBroker;
  readonly #truth: Truth;

  constructor(inner: MemoryBroker, truth: Truth) {
    this.#inner = inner;
    this.#truth = truth;
  }

  append<D extends Draft>(batches: readonly Batch<D>[]): readonly Appended[] {
    const answers = this.#inner.append(batches);
    for (const [i, { tag, drafts }] of batches.entries()) {
      answers[i]!.positions?.forEach(({ epoch, offset }, j) => this.#record(tag, epoch, offset, drafts[j]!.body));
    }
    return answers;
  }

  start(feed: Feed): Answer<void> {
    return this.#inner.start({
      presence: (event) => feed.presence(event),
      relayed: (event) => feed.relayed(event),
      resynced: (event) => feed.resynced(event),
      messages: (event) => {
        // The feed comes before the answer of `append`.
        for (const message of event.messages) this.#record(event.tag, event.epoch, message.offset, message);
        feed.messages(event);
      },
    });
  }

  stop(): Answer<void> {
    return this.#inner.stop();
  }

  ready(): boolean {
    return this.#inner.ready();
  }

  subscribe(name: string, pattern: string): Answer<void> {
    return this.#inner.subscribe(name, pattern);
  }

  unsubscribe(name: string, pattern: string): void {
    this.#inner.unsubscribe(name, pattern);
  }

  history(name: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Answer<Page> {
    return this.#inner.history(name, tag, rule, after, limits);
  }

  logs(name: string, pattern: string, limit: number): ReturnType<MemoryBroker["logs"]> {
    return this.#inner.logs(name, pattern, limit);
  }

  join(name: string, tag: string, member: Member): Answer<void> {
    return this.#inner.join(name, tag, member);
  }

  leave(name: string, tag: string, member: Member): Answer<void> {
    return this.#inner.leave(name, tag, member);
  }

  members(name: string, tag: string): ReturnType<MemoryBroker["members"]> {
    return this.#inner.members(name, tag);
  }

  #record(tag: string, epoch: number, offset: number, body: Body): void {
    if (offset > this.#truth.top(tag, epoch)) this.#truth.kept(tag, epoch, offset, payloadNumber(body.bytes, 0));
  }
}

/** The number in a payload as MessagePack: an integer, or an array that begins with one. */
export function payloadNumber(bytes: Uint8Array, start: number): number {
  const at = bytes[start] === 0x92 ? start + 1 : start;
  const head = bytes[at]!;
  if (head < 0x80) return head;
  let value = 0;
  for (let i = 1; i <= 1 << (head - 0xcc); i++) value = value * 256 + bytes[at + i]!;
  return value;
}
