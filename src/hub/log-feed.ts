/**
 * From the broker's feed to the topics: in order, without holes or doubles. The feed may lose, repeat or lag; whatever
 * it brings out of order is read from the log instead, and what the log no longer holds is told as a gap.
 */
import type { Answer, Broker, FeedEvent, Page, Stored } from "../broker/broker.ts";
import { gaps } from "../core/codes.ts";
import type { Gap, Recovery } from "../core/recovery.ts";
import type { Clock } from "../lib/clock.ts";
import { settle } from "../lib/settle.ts";
import { MessageView } from "../wire/frames.ts";
import type { Distributor } from "./distributor.ts";
import { LocalLog } from "./local-log.ts";
import type { PublishDraft } from "./publishing.ts";
import type { Space, TagState } from "./space.ts";
import type { NativeConnection } from "./subscriber.ts";

/** One read of a log. */
export const pageLimits = { count: 1000, bytes: 64 * 1024 } as const;
const positionOnly = { count: 0, bytes: 0 } as const;
/** Pause before a read of the log that failed is repeated. */
const retryMs = 500;

export interface LogFeedParts {
  readonly broker: Broker;
  readonly distributor: Distributor;
  readonly recovery: Recovery;
  readonly clock: Clock;
  readonly spaces: ReadonlyMap<string, Space>;
}

export class LogFeed {
  readonly #parts: LogFeedParts;
  readonly #view = new MessageView();
  /** Reads under way, shared by all who want the same page. */
  readonly #reads = new Map<string, Promise<Page>>();

  constructor(parts: LogFeedParts) {
    this.#parts = parts;
  }

  /** Messages from the broker. */
  messages(event: FeedEvent): void {
    const state = this.#parts.spaces.get(event.app)?.tag(event.tag);
    if (state === undefined || state.topics.length === 0) return;
    state.log ??= new LocalLog("live", event.epoch, wasEmpty(state) ? 0 : event.first - 1);
    const log = state.log;
    if (log.state !== "live") {
      log.news = true;
      return;
    }
    if (event.epoch !== log.epoch) return this.#repair(state, log);
    for (let i = 0; i < event.messages.length; i++) {
      const message = event.messages[i] as Stored;
      const verdict = this.#parts.recovery.admit(log.top, message.offset);
      if (verdict === "next") this.#deliver(state, log, message, exceptOf(event, i));
      else if (verdict === "hole") return this.#repair(state, log);
    }
  }

  /**
   * The position of a tag's log for a new subscriber, read after the interest was confirmed. `cursor`: what the
   * subscriber has. The answer's `epoch` is the one of `state.log` from then on.
   */
  open(state: TagState, cursor: number, opened: (page: Page) => void, failed: (reason: unknown) => void): void {
    state.log ??= new LocalLog("opening", 0, 0);
    const log = state.log;
    const { space, tag, rule } = state;
    const answer = this.#parts.broker.history(space.app, tag, rule, cursor, positionOnly);
    settle(
      answer,
      (page) => {
        if (state.log !== log) return opened(page);
        if (log.state === "opening") {
          log.jump(page.epoch, page.top);
          log.state = "live";
          if (log.news) this.#repair(state, log);
        } else if (page.epoch !== log.epoch) {
          this.#changeEpoch(state, log, page);
          this.#repair(state, log);
        }
        opened(page);
      },
      (reason) => {
        if (state.log === log && log.state === "opening") state.log = null;
        failed(reason);
      },
    );
  }

  /** A page after `cursor`; equal reads under way are shared. */
  read(state: TagState, cursor: number): Answer<Page> {
    const { space, tag, rule } = state;
    const key = `${space.app}\0${tag}\0${cursor}`;
    const shared = this.#reads.get(key);
    if (shared !== undefined) return shared;
    const answer = this.#parts.broker.history(space.app, tag, rule, cursor, pageLimits);
    if (!(answer instanceof Promise)) return answer;
    this.#reads.set(key, answer);
    const done = () => void this.#reads.delete(key);
    answer.then(done, done);
    return answer;
  }

  /** Somebody saw another epoch in the log than the one being served. */
  verify(state: TagState): void {
    if (state.log !== null && state.log.state === "live") this.#repair(state, state.log);
  }

  #deliver(state: TagState, log: LocalLog, message: Stored, except: NativeConnection | null): void {
    log.advance(message);
    const view = this.#view.set(state, log.epoch, message.offset);
    view.body(message.bytes, 0, message.payloadLength, message.bytes.length);
    this.#parts.distributor.deliver(state, view, message, except);
  }

  #repair(state: TagState, log: LocalLog): void {
    if (state.log !== log) return;
    log.state = "repairing";
    log.news = false;
    settle(
      this.read(state, log.top),
      (page) => this.#mend(state, log, page),
      () => void this.#parts.clock.after(retryMs, () => this.#repair(state, log)),
    );
  }

  #mend(state: TagState, log: LocalLog, page: Page): void {
    if (state.log !== log) return;
    let more = log.news;
    if (page.epoch !== log.epoch) {
      this.#changeEpoch(state, log, page);
      more ||= log.top < page.top;
    } else {
      const gap = this.#parts.recovery.trimmed(log.top, page.oldest);
      if (gap !== null) {
        log.jump(log.epoch, gap.to);
        this.#tell(state, gap);
      }
      for (const message of page.messages) if (message.offset === log.top + 1) this.#deliver(state, log, message, null);
      more ||= log.top < page.top;
    }
    if (more) this.#parts.clock.endOfTurn(() => this.#repair(state, log));
    else log.state = "live";
  }

  /** The log was lost or replaced: everything it holds now and that was not served under its previous epoch is served. */
  #changeEpoch(state: TagState, log: LocalLog, page: Page): void {
    const shared = page.previous?.epoch === log.epoch ? Math.min(page.previous.offset, log.top) : 0;
    const to = Math.max(shared, page.oldest - 1);
    log.jump(page.epoch, to);
    this.#tell(state, { from: null, to, code: gaps.epochChanged, epoch: page.epoch });
  }

  #tell(state: TagState, gap: Gap): void {
    const detail = gap.epoch === undefined ? { code: gap.code.code } : { code: gap.code.code, epoch: gap.epoch };
    for (const topic of state.topics) {
      if (topic.msgpack !== null)
        this.#parts.distributor.gather(topic.msgpack).gap(state.tag, gap.from, gap.to, detail);
      if (topic.json !== null) this.#parts.distributor.gather(topic.json).gap(state.tag, gap.from, gap.to, detail);
      for (const sink of topic.sinks) sink.offerGap(state, gap);
    }
  }
}

/** Whether a log that is seen for the first time is known to have been empty when the interest in it began. */
function wasEmpty(state: TagState): boolean {
  return !state.space.forgot && state.topics.some((topic) => topic.listedAll);
}

function exceptOf(event: FeedEvent, i: number): NativeConnection | null {
  const index = event.drafts?.[i];
  if (event.batch === null || index === undefined) return null;
  return (event.batch.drafts[index] as PublishDraft).except;
}
