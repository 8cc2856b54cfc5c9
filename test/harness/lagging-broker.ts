/**
 * A broker whose feed misbehaves as pub/sub may: what the broker inside tells is held back until it is released, and may
 * be lost, repeated or overtaken. The log tells the truth at once. Events of one tag are released in their order, of
 * different tags in any; with `lateAnswers` the answers of calls that may be asynchronous are promises, released in the
 * same way. While `away` nothing reaches it: calls are rejected.
 */
import { errors } from "../../src/core/codes.ts";
import type {
  Answer,
  Appended,
  Batch,
  Broker,
  Comparison,
  Draft,
  Feed,
  FeedEvent,
  LogPosition,
  Member,
  Members,
  Page,
  PageLimits,
  PresenceEvent,
  RelayedMessage,
  Resync,
} from "../../src/broker/broker.ts";
import type { TagRule } from "../../src/core/tag-rule.ts";
import type { Body } from "../../src/wire/messages.ts";
import type { Random } from "./random.ts";

export interface LaggingOptions {
  /** Whether `subscribe`, `history`, `append`, `logs` and the presence calls answer with promises held back too. */
  readonly lateAnswers?: boolean;
  /** Called whenever something is held back; may keep `release`, which releases the oldest thing held. Absent: nothing is released by itself. */
  readonly onHeld?: (release: () => void) => void;
}

/** Chances of one `step`; what is left is the chance that an event is released as it should be. */
export interface Faults {
  /** Nothing happens. */
  readonly idle?: number;
  /** The event is lost. */
  readonly drop?: number;
  /** The event is released, and a copy of it held back behind what is held by then. */
  readonly repeat?: number;
  /** The event is held back anew, behind what is held by then. */
  readonly overtake?: number;
}

interface Held {
  readonly lane: string;
  readonly event: FeedEvent | PresenceEvent | null;
  readonly release: () => void;
}

/**
 * Lane of answers. Those about logs come back in the order in which they were asked for, as over one connection; confirmed
 * interest and members are asked for elsewhere.
 */
const answerLane = "answers";

export class LaggingBroker implements Broker {
  readonly #inner: Broker;
  readonly #late: boolean;
  readonly #onHeld: (release: () => void) => void;
  readonly #held: Held[] = [];
  #feed: Feed | null = null;
  /** Whether it cannot be reached. */
  away = false;
  /** Live-only messages handed over for other instances, by tag and body. */
  readonly relayed: (readonly [tag: string, body: Body])[] = [];
  readonly relay = (_: string, tag: string, body: Body): void => void this.relayed.push([tag, body]);
  readonly comparison: Comparison = {
    tops: (app, tags) =>
      this.#answer(() =>
        all(
          tags.map((tag) => this.#inner.logs(app, tag, 1)),
          topOf,
        ),
      ),
    changed: (app, _, limit) => this.#answer(() => this.#inner.logs(app, "#", limit)),
  };
  /** How many message events were lost. */
  dropped = 0;
  /** How many message events were told a second time. */
  repeated = 0;
  /** How many message events were overtaken. */
  overtaken = 0;

  constructor(inner: Broker, { lateAnswers = false, onHeld = () => {} }: LaggingOptions = {}) {
    this.#inner = inner;
    this.#onHeld = onHeld;
    this.#late = lateAnswers;
  }

  /** Events and answers held back now. */
  get held(): number {
    return this.#held.length;
  }

  /** Releases the oldest `count` things held back (absent: all, also what is held back meanwhile); returns how many. */
  release(count: number = Infinity): number {
    let released = 0;
    while (released < count && this.#held.length > 0) {
      this.#take(0).release();
      released++;
    }
    return released;
  }

  /** Releases the oldest event of one tag alone; false if none is held. */
  releaseOf(tag: string): boolean {
    const at = this.#held.findIndex(({ event }) => event?.tag === tag);
    if (at < 0) return false;
    this.#take(at).release();
    return true;
  }

  /** Loses the oldest message event held, of `tag` if one is named; false if there is none. */
  drop(tag?: string): boolean {
    return this.#dropAt(this.#oldestMessages(tag));
  }

  /** Releases the oldest message event held, of `tag` if one is named, and holds back a copy of it; false if there is none. */
  repeat(tag?: string): boolean {
    return this.#repeatAt(this.#oldestMessages(tag));
  }

  /** Loses every message event that is held; the hub is not told. */
  dropAll(): void {
    while (this.drop());
  }

  /** Tells of a live-only message of another instance. */
  tellRelayed(event: RelayedMessage): void {
    this.#feed?.relayed(event);
  }

  /** Tells that events may have been lost. */
  resync(event: Resync): void {
    this.#feed?.resynced(event);
  }

  /** Lets chance decide what happens to the oldest thing of a lane drawn by chance; false if nothing is held. */
  step(random: Random, { idle = 0, drop = 0, repeat = 0, overtake = 0 }: Faults = {}): boolean {
    if (this.#held.length === 0) return false;
    const { lane } = random.pick(this.#held);
    const at = this.#held.findIndex((held) => held.lane === lane);
    let drawn = random.next();
    const faults = [
      [idle, () => true],
      [drop, () => this.#dropAt(at)],
      [repeat, () => this.#repeatAt(at)],
      [overtake, () => this.#overtakeAt(at)],
    ] as const;
    for (const [chance, happens] of faults) {
      if (drawn >= 0 && drawn < chance && happens()) return true;
      drawn -= chance;
    }
    this.#take(at).release();
    return true;
  }

  start(feed: Feed): Answer<void> {
    this.#feed = feed;
    return this.#inner.start({
      messages: (event) => this.#holdMessages(event),
      presence: (event) => this.#hold(laneOf(event), event, () => feed.presence(event)),
      relayed: (event) => feed.relayed(event),
      resynced: (event) => feed.resynced(event),
    });
  }

  stop(): Answer<void> {
    return this.#inner.stop();
  }

  ready(): boolean {
    return !this.away && this.#inner.ready();
  }

  append<D extends Draft>(batches: readonly Batch<D>[]): Answer<readonly Appended[]> {
    if (!this.ready()) return batches.map(() => ({ error: errors.unavailable }));
    return this.#answer(() => this.#inner.append(batches));
  }

  subscribe(app: string, pattern: string): Answer<void> {
    return this.#answer(() => this.#inner.subscribe(app, pattern), pattern);
  }

  unsubscribe(app: string, pattern: string): void {
    this.#inner.unsubscribe(app, pattern);
  }

  history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Answer<Page> {
    return this.#answer(() => this.#inner.history(app, tag, rule, after, limits));
  }

  logs(
    app: string,
    pattern: string,
    limit: number,
  ): Answer<{ readonly logs: readonly LogPosition[]; readonly more: boolean }> {
    return this.#answer(() => this.#inner.logs(app, pattern, limit));
  }

  join(app: string, tag: string, member: Member): Answer<void> {
    return this.#answer(() => this.#inner.join(app, tag, member), tag);
  }

  leave(app: string, tag: string, member: Member): Answer<void> {
    return this.#answer(() => this.#inner.leave(app, tag, member), tag);
  }

  members(app: string, tag: string): Answer<Members> {
    return this.#answer(() => this.#inner.members(app, tag), tag);
  }

  #oldestMessages(tag: string | undefined): number {
    return this.#held.findIndex(({ event }) => isMessages(event) && (tag === undefined || event.tag === tag));
  }

  #dropAt(at: number): boolean {
    if (!isMessages(this.#held[at]?.event ?? null)) return false;
    this.#take(at);
    this.dropped++;
    return true;
  }

  #repeatAt(at: number): boolean {
    const event = this.#held[at]?.event ?? null;
    if (!isMessages(event)) return false;
    // What rides along belongs to the first copy: whoever is to be answered for the batch was answered by it.
    this.#holdMessages({ ...event, batch: null, drafts: null });
    this.repeated++;
    this.#take(at).release();
    return true;
  }

  #overtakeAt(at: number): boolean {
    const held = this.#held[at];
    if (held === undefined || !isMessages(held.event)) return false;
    this.#held.push(this.#take(at));
    this.overtaken++;
    return true;
  }

  #holdMessages(event: FeedEvent): void {
    this.#hold(laneOf(event), event, () => this.#feed?.messages(event));
  }

  #hold(lane: string, event: Held["event"], release: () => void): void {
    this.#held.push({ lane, event, release });
    this.#onHeld(() => void this.release(1));
  }

  #take(at: number): Held {
    const [held] = this.#held.splice(at, 1);
    if (!held) throw new Error(`Nothing is held at ${at}`);
    return held;
  }

  /** The value was made when it was asked for: by the time it arrives, the feed may have told more. */
  #answer<T>(ask: () => Answer<T>, about = ""): Answer<T> {
    if (this.away) return Promise.reject(new Error("the broker is away"));
    const answer = ask();
    if (!this.#late) return answer;
    return new Promise((resolve) => this.#hold(`${answerLane} ${about}`, null, () => resolve(answer)));
  }
}

export function laggingBroker(broker: Broker, options?: LaggingOptions): LaggingBroker {
  return new LaggingBroker(broker, options);
}

/** What `map` makes of each answer. */
function all<T, R>(answers: readonly Answer<T>[], map: (value: T) => R): Answer<R[]> {
  const values = answers.filter((answer) => !(answer instanceof Promise)) as T[];
  return values.length === answers.length ? values.map(map) : Promise.all(answers).then((ready) => ready.map(map));
}

function topOf({ logs: [log] }: { readonly logs: readonly LogPosition[] }): LogPosition | null {
  return log ?? null;
}

function laneOf(event: FeedEvent | PresenceEvent): string {
  return `${isMessages(event) ? "messages" : "presence"} ${event.app} ${event.tag}`;
}

function isMessages(event: FeedEvent | PresenceEvent | null): event is FeedEvent {
  return event !== null && "messages" in event;
}
