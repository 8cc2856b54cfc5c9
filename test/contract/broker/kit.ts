/** What the tests of the broker contract share: opening a broker with a collecting feed, and short ways to use it. */
import { expect } from "bun:test";
import type {
  Answer,
  Appended,
  AppendedPosition,
  Batch,
  Broker,
  Draft,
  Feed,
  FeedEvent,
  Page,
  PageLimits,
  PresenceEvent,
  RelayedMessage,
  Resync,
  Stored,
} from "../../../src/broker/broker.ts";
import { type HistoryRule, type TagRule, liveOnly } from "../../../src/core/tag-rule.ts";
import type { Body } from "../../../src/wire/messages.ts";

/** Time as the broker sees it. `FakeClock` is one; a broker with a clock of its own may have no `jumpWall`. */
export interface ContractClock {
  advance(ms: number): Answer<void>;
  jumpWall?(ms: number): Answer<void>;
}

export interface OpenedBroker {
  /** Empty and not started. */
  readonly broker: Broker;
  readonly clock: ContractClock;
  /** Whether logs and keys outlive the process. */
  readonly durable?: boolean;
  /** Resolves when what was announced before has come, where announcements of several tags come by ways of their own. */
  settle?(): Promise<void>;
  /** What a new process over the same storage, if any, would open: not started. The one before was stopped. */
  restart(): Answer<Broker>;
  /** Stops and removes what was opened. */
  close(): Answer<void>;
}

export type OpenBroker = (options: { readonly idempotencyWindowMs: number }) => Promise<OpenedBroker>;

export const windowMs = 10_000;
/** Time after which a broker has let go of interest that ended. */
export const letGoMs = 2011;
/** How long an event may take to arrive: far longer than any does. */
const deadlineMs = 2000;
export const everything: PageLimits = { count: 100_000, bytes: 1 << 30 };
export const main = "main";

export function keeps(history: HistoryRule): TagRule {
  return { ...liveOnly, history, delivery: "reliable" };
}

/** A rule whose log no test of ordinary length fills. */
export const roomy = keeps({ size: 100_000 });
export const retained: TagRule = { ...liveOnly, retain: true, delivery: "latest" };

export function body(text: string): Body {
  const bytes = new TextEncoder().encode(text);
  return { bytes, payloadLength: bytes.length };
}

export function draft(text: string, key: string | null = null): Draft {
  return { body: body(text), key };
}

export function text(message: Body): string {
  return new TextDecoder().decode(message.bytes);
}

export function texts(messages: readonly Body[]): string[] {
  return messages.map(text);
}

/** Keeps what a broker tells, lets a test wait for it, and checks what every event must be like. */
export class CollectingFeed implements Feed {
  readonly events: FeedEvent[] = [];
  readonly presenceEvents: PresenceEvent[] = [];
  readonly resyncs: Resync[] = [];
  /** Live-only messages of other instances, as tag and text. */
  readonly relayedTexts: (readonly [tag: string, text: string])[] = [];
  /** Tags of which some of these did not get here. */
  readonly missedTags: string[] = [];
  /** What broke the contract, for `close` to report. */
  readonly violations: string[] = [];
  #waiting: { readonly holds: () => boolean; readonly done: () => void }[] = [];
  readonly #newest = new Map<string, number>();

  messages(event: FeedEvent): void {
    this.#check(event);
    this.events.push(event);
    this.#wake();
  }

  presence(event: PresenceEvent): void {
    this.presenceEvents.push(event);
    this.#wake();
  }

  relayed({ tag, body: relayed }: RelayedMessage): void {
    if (relayed === null) this.missedTags.push(tag);
    else this.relayedTexts.push([tag, text(relayed)]);
    this.#wake();
  }

  resynced(event: Resync): void {
    this.resyncs.push(event);
    this.#wake();
  }

  /** Resolves once `holds`, which is asked again after each event; rejects with what was told when the deadline is over. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const deadline = setTimeout(
      () => reject(new Error(`Waited ${deadlineMs} ms in vain; told: ${this.#told()}`)),
      deadlineMs,
    );
    const done = () => (clearTimeout(deadline), resolve());
    this.#waiting.push({ holds, done });
    return promise;
  }

  #told(): string {
    const events = this.events.map(
      ({ app, tag, first, messages }) => `${app} ${tag} ${first}: ${texts(messages).join(", ")}`,
    );
    return [...events, `${this.presenceEvents.length} changes of presence`].join("; ");
  }

  /** Each message of a tag once, in the order in which it was first announced. */
  seen(tag: string, app = main): Stored[] {
    const seen = new Map<string, Stored>();
    for (const event of this.events) {
      if (event.app !== app || event.tag !== tag) continue;
      for (const message of event.messages) {
        const position = `${event.epoch} ${message.offset}`;
        if (!seen.has(position)) seen.set(position, message);
      }
    }
    return [...seen.values()];
  }

  presenceOf(tag: string, app = main): PresenceEvent[] {
    return this.presenceEvents.filter((event) => event.app === app && event.tag === tag);
  }

  #check(event: FeedEvent): void {
    const { messages, first, drafts, batch } = event;
    const where = `${event.app} ${event.tag} ${event.epoch} ${first}`;
    const fault = (what: string) => void this.violations.push(`${where}: ${what}`);
    if (messages.length === 0) fault("an event without messages");
    if (messages.some((message, i) => message.offset !== first + i)) fault("offsets with holes");
    if ((batch === null) !== (drafts === null)) fault("batch and drafts do not come together");
    if (drafts && drafts.length !== messages.length) fault("not one draft a message");
    if (batch && drafts?.some((at, i) => text(batch.drafts[at]!.body) !== text(messages[i]!))) {
      fault("a draft that is not the message");
    }
    // A repeated event may come late; new offsets come in order.
    const log = `${event.app} ${event.tag} ${event.epoch}`;
    const newest = this.#newest.get(log) ?? 0;
    const last = first + messages.length - 1;
    if (first <= newest && last > newest) fault("half of the event was announced before");
    this.#newest.set(log, Math.max(newest, last));
  }

  #wake(): void {
    const ready = this.#waiting.filter(({ holds }) => holds());
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one));
    for (const { done } of ready) done();
  }
}

/** A started broker and its feed; closed at the end of `await using`. */
export class Kit implements AsyncDisposable {
  broker: Broker;
  readonly feed = new CollectingFeed();
  readonly clock: ContractClock;
  readonly durable: boolean;
  readonly #opened: OpenedBroker;
  #fences = 0;

  private constructor(opened: OpenedBroker) {
    this.#opened = opened;
    this.broker = opened.broker;
    this.clock = opened.clock;
    this.durable = opened.durable ?? false;
  }

  static async open(open: OpenBroker): Promise<Kit> {
    const kit = new Kit(await open({ idempotencyWindowMs: windowMs }));
    await kit.#start();
    return kit;
  }

  async #start(): Promise<void> {
    await this.broker.start(this.feed);
    await this.broker.subscribe("fence", "fence");
  }

  async restart(): Promise<void> {
    await this.broker.stop();
    this.broker = await this.#opened.restart();
    await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.close();
    expect(this.feed.violations).toEqual([]);
  }

  async append(...batches: Batch[]): Promise<readonly Appended[]> {
    return await this.broker.append(batches);
  }

  /** Appends drafts to one tag as one batch, which must succeed. */
  async add(
    tag: string,
    drafts: readonly Draft[],
    { app = main, rule = roomy } = {},
  ): Promise<readonly AppendedPosition[]> {
    const [answer] = await this.append({ app, tag, rule, drafts });
    if (!answer?.positions) throw new Error(`Refused: ${answer?.error.text}`);
    expect(answer.positions.length).toBe(drafts.length);
    return answer.positions;
  }

  /** Appends texts one batch after the other. */
  async addEach(tag: string, list: readonly string[], rule: TagRule = roomy): Promise<void> {
    const appends = list.map((one) => this.append({ app: main, tag, rule, drafts: [draft(one)] }));
    for (const [answer] of await Promise.all(appends)) expect(answer?.error).toBeUndefined();
  }

  async page(tag: string, { app = main, rule = roomy, after = 0, limits = everything } = {}): Promise<Page> {
    return await this.broker.history(app, tag, rule, after, limits);
  }

  /** Resolves when everything that was appended before has been announced. */
  async fence(): Promise<void> {
    const mark = `fence ${++this.#fences}`;
    await this.add("fence", [draft(mark)], { app: "fence" });
    await this.feed.until(() => this.feed.seen("fence", "fence").some((message) => text(message) === mark));
    await this.#opened.settle?.();
  }

  /** Ends interest, with the time that a broker may take to let go of it. */
  async unsubscribe(app: string, pattern: string): Promise<void> {
    this.broker.unsubscribe(app, pattern);
    await this.clock.advance(letGoMs);
    await this.fence();
  }
}

export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

export function numbered(from: number, to: number): string[] {
  return numbers(from, to).map((n) => `m${n}`);
}

export function offsets(list: readonly { readonly offset: number }[]): number[] {
  return list.map(({ offset }) => offset);
}
