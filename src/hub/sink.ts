/**
 * A sink serves one subscription from JavaScript: while it recovers, while its socket is slow, or throughout where there
 * are no native topics (event streams). It never queues messages: per tag it holds a cursor into the log, a count of
 * what was dropped, or the newest message, as the tag's rule says. Caught up and drained, it gives way to native topics.
 */
import type { Answer, Page, Stored } from "../broker/broker.ts";
import { gaps } from "../core/codes.ts";
import type { Gap, Recovery } from "../core/recovery.ts";
import type { Delivery } from "../core/tag-rule.ts";
import { settle } from "../lib/settle.ts";
import { MessageView } from "../wire/frames.ts";
import type { LocalLog } from "./local-log.ts";
import type { TagState } from "./space.ts";
import type { Deliveries, NativeConnection, Subscriber } from "./subscriber.ts";
import { deliveriesOf } from "./subscriber.ts";
import type { Topic } from "./topic.ts";

/** Bytes buffered for a socket above which nothing more is sent to it from here. */
export const softMarkBytes = 1024 * 1024;
/**
 * Bytes buffered above which no page of a log is sent: what a client is owed must not make it look slow, since it would lose
 * its live-only messages for it. Also what one `pump` sends at most.
 */
export const recoveryMarkBytes = softMarkBytes / 4;
/** Bytes of one page that a sink sends at a time. */
const pageBytesMax = 64 * 1024;
/** Offsets remembered per tag of messages that the subscriber published itself with `echo: false` while it lagged. */
const ownOffsetsMax = 4096;

/** What sinks need from the hub. */
export interface SinkHost {
  readonly recovery: Recovery;
  readonly counts: { slowDropped: number; conflated: number; trimmed: number };
  /** Messages sent to sockets from here. */
  readonly delivered: { msgpack: number; json: number };
  countGap(code: number): void;
  read(state: TagState, cursor: number): Answer<Page>;
  verify(state: TagState): void;
  /** Asks that `pump` be called at the end of this turn. */
  wake(sink: Sink): void;
  /** Everything was sent and the socket is drained. */
  caughtUp(sink: Sink): void;
}

/** One tag that this sink lags behind on. */
interface Lag {
  readonly log: LocalLog;
  readonly mode: Delivery;
  /** Everything up to here was sent or told. */
  cursor: number;
  /** `latest`: the message to send once drained. */
  newest: Stored | null;
  /** The newest offset that was dropped (`stream`), or that nobody will get. */
  droppedTo: number;
  own: Set<number> | null;
  reading: boolean;
}

export class Sink {
  readonly topic: Topic;
  readonly subscriber: Subscriber;
  readonly #host: SinkHost;
  readonly #deliveries: Deliveries;
  readonly #lags = new Map<TagState, Lag>();
  readonly #view = new MessageView();
  /** Finished frames of the native topic that this subscription left before they went out, oldest first; shared with the others that get them. */
  #behind: (Uint8Array | string)[] = [];
  /** Live-only messages dropped and not told yet. */
  #lost = 0;
  /** Bytes of logs sent since `pump` was called. */
  #pumpedBytes = 0;
  #closed = false;

  constructor(topic: Topic, subscriber: Subscriber, host: SinkHost) {
    this.topic = topic;
    this.subscriber = subscriber;
    this.#host = host;
    this.#deliveries = deliveriesOf(subscriber, topic.pattern);
  }

  /** Whether nothing is left to send or tell. */
  get idle(): boolean {
    return this.#lags.size === 0 && this.#lost === 0 && this.#behind.length === 0;
  }

  /** Whether nothing new may be sent: older frames wait, or the socket has more buffered than it should. */
  get blocked(): boolean {
    return this.#behind.length > 0 || this.#full;
  }

  get #full(): boolean {
    return this.subscriber.bufferedBytes() + this.subscriber.frames.waiting > softMarkBytes;
  }

  /** The subscription has left its native topic before these frames of it went out. */
  takeOver(frames: (Uint8Array | string)[]): void {
    this.#behind = frames;
  }

  /** Sends everything of the tag's log after `cursor`, before anything live. */
  recover(state: TagState, cursor: number): void {
    if (state.log === null) return;
    this.#lag(state, state.log, "reliable", cursor);
    this.#host.wake(this);
  }

  /** A message is being delivered. */
  offer(state: TagState, view: MessageView, stored: Stored | null, except: NativeConnection | null): void {
    const own = except !== null && except === this.subscriber.native;
    const { log } = state;
    if (log === null || stored === null) {
      if (own) return;
      if (!this.blocked) {
        this.#tellLost();
        return this.#send(view);
      }
      this.#lost++;
      this.#host.counts.slowDropped++;
      return;
    }
    let lag = this.#lags.get(state);
    if (lag === undefined) {
      if (own) return;
      if (!this.blocked) return this.#send(view);
      lag = this.#lag(state, log, state.rule.delivery, stored.offset - 1);
    }
    if (own && (lag.own ??= new Set()).size < ownOffsetsMax) lag.own.add(stored.offset);
    if (lag.mode === "latest") {
      if (lag.newest !== null) this.#host.counts.conflated++;
      lag.newest = stored;
    } else if (lag.mode === "stream") {
      lag.droppedTo = stored.offset;
      this.#host.counts.slowDropped++;
    } else if (!lag.reading) this.#host.wake(this);
  }

  /** Messages that nobody will get. */
  offerGap(state: TagState, gap: Gap): void {
    const lag = this.#lags.get(state);
    this.#sendBehind(true);
    if (gap.epoch !== undefined) {
      if (lag !== undefined) this.#drop(state, lag);
      this.#tell(state.tag, gap.from, gap.to, { code: gap.code.code, epoch: gap.epoch });
    } else if (lag === undefined) this.#tell(state.tag, gap.from, gap.to, { code: gap.code.code });
    else lag.droppedTo = gap.to;
  }

  /** Sends what can be sent now; called at the end of a turn and when the socket has drained. */
  pump(): void {
    if (this.#closed) return;
    const { native } = this.subscriber;
    if (native === null) this.#pump();
    else native.cork(() => this.#pump());
    if (!this.#closed && !this.blocked && this.idle) this.#host.caughtUp(this);
  }

  #pump(): void {
    this.#pumpedBytes = 0;
    this.#sendBehind(false);
    for (const [state, lag] of this.#lags) {
      if (this.blocked) return;
      if (lag.mode === "latest") this.#pumpLatest(state, lag);
      else if (lag.mode === "stream") this.#pumpStream(state, lag);
      else this.#pumpLog(state, lag);
    }
    if (this.blocked) return;
    this.#tellLost();
  }

  /** Lets go of the logs; nothing is sent any more. */
  close(): void {
    this.#closed = true;
    this.#behind = [];
    for (const [state, lag] of this.#lags) this.#drop(state, lag);
  }

  /** Sends frames of the topic that was left, as many as the socket takes, or all of them. */
  #sendBehind(all: boolean): void {
    const { native, frames } = this.subscriber;
    if (this.#behind.length === 0 || native === null) return;
    frames.flush();
    let sent = 0;
    for (; sent < this.#behind.length; sent++) {
      if (!all && this.#full) break;
      native.write(this.#behind[sent] as Uint8Array | string);
    }
    this.#behind = this.#behind.slice(sent);
  }

  #lag(state: TagState, log: LocalLog, mode: Delivery, cursor: number): Lag {
    const lag: Lag = { log, mode, cursor, newest: null, droppedTo: cursor, own: null, reading: false };
    this.#lags.set(state, lag);
    if (mode === "reliable") log.attach(state.space.tails);
    return lag;
  }

  #drop(state: TagState, lag: Lag): void {
    if (this.#lags.delete(state) && lag.mode === "reliable") lag.log.detach();
  }

  #send(view: MessageView): void {
    if (this.subscriber.native !== null) this.#host.delivered[this.#deliveries.lane]++;
    this.#deliveries.message(view, this.topic.name);
    this.subscriber.flushLater();
  }

  #tell(
    name: string,
    from: number | null,
    to: number | null,
    detail: { code: number; count?: number; epoch?: number },
  ): void {
    const pattern = this.topic.name?.pattern;
    this.#host.countGap(detail.code);
    this.#deliveries.gap(name, from, to, name === pattern ? detail : { ...detail, pattern });
    this.subscriber.flushLater();
  }

  /** Tells of live-only messages that were dropped, before anything newer is sent. */
  #tellLost(): void {
    if (this.#lost === 0) return;
    this.#tell(this.topic.pattern, null, null, { code: gaps.slow.code, count: this.#lost });
    this.#lost = 0;
  }

  #pumpLatest(state: TagState, lag: Lag): void {
    const { newest, droppedTo } = lag;
    if (newest !== null) {
      const skipped = newest.offset - lag.cursor - 1;
      if (skipped > 0)
        this.#tell(state.tag, lag.cursor + 1, newest.offset - 1, { code: gaps.conflated.code, count: skipped });
      if (!lag.own?.has(newest.offset)) this.#sendStored(state, lag, newest);
      if (droppedTo > newest.offset) this.#tell(state.tag, newest.offset + 1, droppedTo, { code: gaps.trimmed.code });
    }
    this.#drop(state, lag);
  }

  #pumpStream(state: TagState, lag: Lag): void {
    const count = lag.droppedTo - lag.cursor;
    if (count > 0) this.#tell(state.tag, lag.cursor + 1, lag.droppedTo, { code: gaps.slow.code, count });
    this.#drop(state, lag);
  }

  /** Sends one page of (cursor, top], from the shared tail where it reaches, else from the broker. */
  #pumpLog(state: TagState, lag: Lag): void {
    const { log } = lag;
    const until = this.#host.recovery.handover(lag.cursor, log.top);
    if (lag.reading || lag.cursor > until) return;
    if (this.#pumpedBytes + this.subscriber.bufferedBytes() > recoveryMarkBytes) {
      // Whatever this turn sends is seen as buffered at its end; what was buffered before wakes the sink when it is taken.
      if (this.#pumpedBytes > 0) this.#host.wake(this);
      return;
    }
    if (lag.cursor < until) {
      if (!log.tail?.reaches(lag.cursor)) return this.#readPage(state, lag);
      let bytes = 0;
      while (lag.cursor < until && bytes < pageBytesMax) {
        const message = log.tail.at(lag.cursor + 1);
        if (message === null) break;
        bytes += message.bytes.length;
        this.#step(state, lag, message);
      }
    }
    if (lag.cursor >= until) this.#drop(state, lag);
    else this.#host.wake(this);
  }

  #readPage(state: TagState, lag: Lag): void {
    lag.reading = true;
    settle(
      this.#host.read(state, lag.cursor),
      (page) => {
        lag.reading = false;
        // Pages of other tags may have come first: this one is read again when the socket has drained.
        if (this.#lags.get(state) === lag && !this.blocked) this.#sendPage(state, lag, page);
      },
      () => {
        lag.reading = false;
      },
    );
  }

  #sendPage(state: TagState, lag: Lag, page: Page): void {
    const { log } = lag;
    if (page.epoch !== log.epoch) return this.#host.verify(state);
    const gap = this.#host.recovery.trimmed(lag.cursor, Math.min(page.oldest, log.top + 1));
    if (gap !== null) {
      this.#host.counts.trimmed += gap.to - lag.cursor;
      this.#tell(state.tag, gap.from, gap.to, { code: gap.code.code });
    }
    lag.cursor = Math.max(lag.cursor, Math.min(page.oldest - 1, log.top));
    for (const message of page.messages) {
      if (message.offset > log.top) break;
      if (message.offset > lag.cursor) this.#step(state, lag, message);
    }
    this.#host.wake(this);
  }

  #step(state: TagState, lag: Lag, message: Stored): void {
    if (!lag.own?.delete(message.offset)) this.#sendStored(state, lag, message);
    lag.cursor = message.offset;
  }

  #sendStored(state: TagState, lag: Lag, message: Stored): void {
    this.#pumpedBytes += message.bytes.length;
    const view = this.#view.set(state, lag.log.epoch, message.offset);
    this.#send(view.body(message.bytes, 0, message.payloadLength, message.bytes.length));
  }
}
