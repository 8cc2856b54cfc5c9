/**
 * From the broker's feed to the topics: in order, without holes or doubles. The feed may lose, repeat or lag; whatever
 * it brings out of order is read from the log instead, and what the log no longer holds is told as a gap.
 */
import type { Answer, Broker, FeedEvent, LogTop, NamedTop, Page, Stored } from "../broker/broker.ts";
import { gaps } from "../core/codes.ts";
import type { Recovery } from "../core/recovery.ts";
import type { Clock } from "../lib/clock.ts";
import type { Settle } from "../lib/settle.ts";
import { MessageView } from "../wire/frames.ts";
import type { Distributor } from "./distributor.ts";
import type { GapNotices } from "./gap-notices.ts";
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
  readonly notices: GapNotices;
  readonly recovery: Recovery;
  readonly clock: Clock;
  readonly spaces: ReadonlyMap<string, Space>;
  readonly settle: Settle;
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
    const space = this.#parts.spaces.get(event.app);
    const state = space?.tag(event.tag);
    if (space === undefined || state === undefined || state.topics.length === 0) return;
    state.log ??= new LocalLog("live", event.epoch, space.wasEmpty(state.topics) ? 0 : event.first - 1);
    const log = state.log;
    if (log.state !== "live") {
      log.news = true;
      return noteOwn(state, event, 0);
    }
    for (let i = 0; i < event.messages.length; i++) {
      const message = event.messages[i] as Stored;
      const verdict = event.epoch === log.epoch ? this.#parts.recovery.admit(log.top, message.offset) : "hole";
      if (verdict === "next") {
        if (state.own !== null) state.own.take(log.epoch, message.offset);
        this.#deliver(state, log, message, exceptOf(event, i));
      } else if (verdict === "hole") {
        noteOwn(state, event, i);
        return this.#repair(state, log);
      }
    }
  }

  /**
   * The position of a tag's log for a new subscriber, read after the interest was confirmed. `cursor`: what the
   * subscriber has. The answer's `epoch` is the one of `state.log` from then on.
   */
  open(state: TagState, cursor: number, opened: (page: Page) => void, failed: (reason: unknown) => void): void {
    const log = (state.log ??= new LocalLog("opening", 0, 0));
    const { space, tag, rule } = state;
    log.openings++;
    this.#parts.settle(
      this.#parts.broker.history(space.app, tag, rule, cursor, positionOnly),
      (page) => {
        log.openings--;
        // Another read for the same opening has failed, or the interest ended and began anew: this page may be too old.
        if (state.log !== log && state.topics.length > 0) return this.open(state, cursor, opened, failed);
        if (state.log === log) this.#opened(state, log, page);
        opened(page);
      },
      (reason) => {
        log.openings--;
        if (state.log === log && log.state === "opening") state.log = null;
        failed(reason);
      },
    );
  }

  /** The log of a tag as it was listed; begins to serve it from there, unless it is served already. */
  adopt(state: TagState, { epoch, top }: LogTop): LocalLog {
    const log = (state.log ??= new LocalLog("opening", 0, 0));
    if (log.state === "opening") this.#begin(state, log, epoch, top);
    return log;
  }

  /** As `adopt`, of a log that nobody asks for by name: it costs no state if its tag has none. */
  trace(space: Space, log: NamedTop): void {
    const { tag, epoch, top } = log;
    const state = space.find(tag);
    if (state !== null) this.adopt(state, log);
    else if (space.known(tag) === null) {
      space.remember(tag, { epoch, top: space.wasEmpty(space.wildcardsOf(tag)) ? 0 : top });
    }
  }

  #opened(state: TagState, log: LocalLog, page: Page): void {
    if (log.state === "opening") this.#begin(state, log, page.epoch, page.top);
    else if (page.epoch !== log.epoch) {
      const isRepairing = log.state === "repairing";
      this.#changeEpoch(state, log, page);
      if (isRepairing) log.news = true;
      else this.#repair(state, log);
    }
  }

  /** The position of a log is known: messages after it are served. */
  #begin(state: TagState, log: LocalLog, epoch: number, top: number): void {
    // Whoever subscribed while the log was empty gets all of it, and the feed may not have brought all of it yet.
    const from = state.space.wasEmpty(state.topics) ? 0 : top;
    log.jump(epoch, from);
    log.state = "live";
    if (log.news || from < top) this.#repair(state, log);
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

  /** Somebody saw another epoch in the log than the one being served, or more of it. */
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
    const { space, tag, rule } = state;
    this.#parts.settle(
      // Not shared: a read that is under way may have begun before there was something to repair.
      this.#parts.broker.history(space.app, tag, rule, log.top, pageLimits),
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
        this.#parts.notices.ofLog(state, gap);
      }
      for (const message of page.messages) {
        if (message.offset === log.top + 1)
          this.#deliver(state, log, message, state.own?.take(log.epoch, message.offset) ?? null);
      }
      more ||= log.top < page.top;
    }
    if (more) this.#parts.clock.endOfTurn(() => this.#repair(state, log));
    else {
      log.state = "live";
      if (state.own?.keepAfter(log.epoch, log.top) === false) state.own = null;
    }
  }

  /** The log was lost or replaced: everything it holds now and that was not served under its previous epoch is served. */
  #changeEpoch(state: TagState, log: LocalLog, page: Page): void {
    const goesOn = page.previous?.epoch === log.epoch;
    const shared = goesOn ? Math.min(page.previous?.offset ?? 0, log.top) : 0;
    const to = Math.max(shared, page.oldest - 1);
    log.jump(page.epoch, to);
    this.#parts.notices.ofLog(state, { from: null, to, code: gaps.epochChanged, epoch: page.epoch, goesOn });
  }
}

/** What of an event is left to be read from the log, where nobody says who does not want it back. */
function noteOwn(state: TagState, event: FeedEvent, from: number): void {
  if (event.batch === null) return;
  for (let i = from; i < event.messages.length; i++) {
    const except = exceptOf(event, i);
    if (except !== null) state.noteOwn(event.epoch, event.first + i, except);
  }
}

function exceptOf(event: FeedEvent, i: number): NativeConnection | null {
  const index = event.drafts?.[i];
  if (event.batch === null || index === undefined) return null;
  return (event.batch.drafts[index] as PublishDraft).except;
}
