/**
 * A broker whose feed misbehaves as pub/sub may: what the broker inside tells is held back until it is released, and may
 * be lost or repeated. The log tells the truth at once. Events of one tag are released in their order, of different tags
 * in any; with `lateAnswers` the answers of calls that may be asynchronous are promises, released in the same way.
 */
import type {
  Answer,
  Appended,
  Batch,
  Broker,
  Draft,
  Feed,
  FeedEvent,
  LogPosition,
  Member,
  Members,
  Page,
  PageLimits,
  PresenceEvent,
} from "../../src/broker/broker.ts";
import type { TagRule } from "../../src/core/tag-rule.ts";
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
}

interface Held {
  readonly lane: string;
  readonly event: FeedEvent | PresenceEvent | null;
  readonly release: () => void;
}

/** Lane of answers: they come back in the order in which they were asked for. */
const answerLane = "answers";

export class LaggingBroker implements Broker {
  readonly #inner: Broker;
  readonly #late: boolean;
  readonly #onHeld: (release: () => void) => void;
  readonly #held: Held[] = [];
  #feed: Feed | null = null;
  /** How many message events were lost. */
  dropped = 0;
  /** How many message events were told a second time. */
  repeated = 0;

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

  /** Lets chance decide what happens to the oldest thing of a lane drawn by chance; false if nothing is held. */
  step(random: Random, { idle = 0, drop = 0, repeat = 0 }: Faults = {}): boolean {
    if (this.#held.length === 0) return false;
    const { lane } = random.pick(this.#held);
    const at = this.#held.findIndex((held) => held.lane === lane);
    const drawn = random.next();
    if (drawn < idle) return true;
    if (drawn < idle + drop && this.#dropAt(at)) return true;
    if (drawn >= idle + drop && drawn < idle + drop + repeat && this.#repeatAt(at)) return true;
    this.#take(at).release();
    return true;
  }

  start(feed: Feed): Answer<void> {
    this.#feed = feed;
    return this.#inner.start({
      messages: (event) => this.#holdMessages(event),
      presence: (event) => this.#hold(laneOf(event), event, () => feed.presence(event)),
    });
  }

  stop(): Answer<void> {
    return this.#inner.stop();
  }

  ready(): boolean {
    return this.#inner.ready();
  }

  append<D extends Draft>(batches: readonly Batch<D>[]): Answer<readonly Appended[]> {
    return this.#answer(this.#inner.append(batches));
  }

  subscribe(app: string, pattern: string): Answer<void> {
    return this.#answer(this.#inner.subscribe(app, pattern));
  }

  unsubscribe(app: string, pattern: string): void {
    this.#inner.unsubscribe(app, pattern);
  }

  history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Answer<Page> {
    return this.#answer(this.#inner.history(app, tag, rule, after, limits));
  }

  logs(
    app: string,
    pattern: string,
    limit: number,
  ): Answer<{ readonly logs: readonly LogPosition[]; readonly more: boolean }> {
    return this.#answer(this.#inner.logs(app, pattern, limit));
  }

  join(app: string, tag: string, member: Member): Answer<void> {
    return this.#answer(this.#inner.join(app, tag, member));
  }

  leave(app: string, tag: string, member: Member): Answer<void> {
    return this.#answer(this.#inner.leave(app, tag, member));
  }

  members(app: string, tag: string): Answer<Members> {
    return this.#answer(this.#inner.members(app, tag));
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
  #answer<T>(answer: Answer<T>): Answer<T> {
    if (!this.#late) return answer;
    return new Promise((resolve) => this.#hold(answerLane, null, () => resolve(answer)));
  }
}

export function laggingBroker(broker: Broker, options?: LaggingOptions): LaggingBroker {
  return new LaggingBroker(broker, options);
}

function laneOf(event: FeedEvent | PresenceEvent): string {
  return `${isMessages(event) ? "messages" : "presence"} ${event.app} ${event.tag}`;
}

function isMessages(event: FeedEvent | PresenceEvent | null): event is FeedEvent {
  return event !== null && "messages" in event;
}
