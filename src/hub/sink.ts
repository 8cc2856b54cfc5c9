/**
 * A sink serves one subscription from JavaScript: while it recovers, while its socket is slow, or throughout where there
 * are no native topics (event streams). It never queues messages: per tag it holds a cursor into the log, a count of
 * what was dropped, or the newest message, as the tag's rule says. Caught up and drained, it gives way to native topics.
 */
import type { Page, Stored } from "../broker/broker.ts";
import { gaps } from "../core/codes.ts";
import type { Gap } from "../core/recovery.ts";
import type { Delivery } from "../core/tag-rule.ts";
import { MessageView } from "../wire/frames.ts";
import type { GapDetail } from "../wire/write-msgpack.ts";
import { Behind } from "./behind.ts";
import type { Lag, SinkHost } from "./lag.ts";
import { keptBytes, lagAt, ownOffsetsMax, pagesMax } from "./lag.ts";
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

export class Sink {
  readonly topic: Topic;
  readonly subscriber: Subscriber;
  readonly #host: SinkHost;
  readonly #deliveries: Deliveries;
  readonly #lags = new Map<TagState, Lag>();
  readonly #view = new MessageView();
  /** What of the native topic had not gone out when this subscription left it. */
  readonly #behind = new Behind();
  /** Logs that began anew, not told yet. */
  readonly #renewed = new Map<TagState, Gap>();
  /** Live-only messages dropped and not told yet. */
  #lost = 0;
  /** Whether live-only messages of other instances may be missing, not told yet. */
  #cutOff = false;
  /** Pages under way or kept. */
  #pages = 0;
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
    return this.#lags.size === 0 && this.#lost === 0 && !this.#cutOff && !this.#owing;
  }

  /** Whether nothing new may be sent: something older waits, or the socket has more buffered than it should. */
  get blocked(): boolean {
    return this.#owing || this.#full;
  }

  get #owing(): boolean {
    return !this.#behind.isEmpty || this.#renewed.size > 0;
  }

  /** Bytes that are kept for this subscriber. */
  get keptBytes(): number {
    let bytes = this.#behind.bytes;
    for (const lag of this.#lags.values()) bytes += keptBytes(lag);
    return bytes;
  }

  get #full(): boolean {
    return this.subscriber.bufferedBytes() + this.subscriber.frames.waiting > softMarkBytes;
  }

  /** The subscription has left its native topic before these frames of it went out. */
  takeOver(frames: (Uint8Array | string)[]): void {
    this.#behind.replace(frames);
  }

  /** Sends everything of the tag's log after `cursor`, before anything live, but for offsets that are its `own`. */
  recover(state: TagState, cursor: number, own: Lag["own"] = null): void {
    if (state.log === null) return;
    this.#lag(state, state.log, "reliable", cursor).own = own;
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
    let lag = this.#lags.get(state);
    if (gap.epoch !== undefined) {
      const told = lag === undefined ? gap : this.#renew(state, lag, gap);
      // Of several new epochs the last one counts: nothing of those before it was sent.
      if (this.blocked) this.#renewed.set(state, told);
      else this.#tellGap(state, told);
    } else if (lag === undefined && !this.blocked) this.#tellGap(state, gap);
    else if (state.log !== null) {
      lag ??= this.#lag(state, state.log, state.rule.delivery, (gap.from ?? 1) - 1);
      lag.droppedTo = gap.to;
    }
  }

  /** The log has a new epoch: what is still to be sent of the one before is, where the new one has it. The gap to tell. */
  #renew(state: TagState, lag: Lag, gap: Gap): Gap {
    const { mode, cursor, own } = lag;
    this.#drop(state, lag);
    if (gap.goesOn !== true || mode !== "reliable" || cursor >= gap.to) return gap;
    // A new one: pages that are under way for the old one are of the epoch before.
    this.recover(state, cursor, own);
    return { ...gap, to: cursor };
  }

  /** Live-only messages of other instances may be missing from here on. */
  offerCutOff(): void {
    this.#cutOff = true;
    if (!this.blocked) this.#tellLost();
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
    this.#behind.send(this.subscriber, () => this.#full);
    if (!this.#behind.isEmpty || this.#full) return;
    for (const [state, gap] of this.#renewed) this.#tellGap(state, gap);
    this.#renewed.clear();
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
    this.#behind.replace([]);
    this.#renewed.clear();
    for (const [state, lag] of this.#lags) this.#drop(state, lag);
  }

  #lag(state: TagState, log: LocalLog, mode: Delivery, cursor: number): Lag {
    const lag = lagAt(log, mode, cursor);
    this.#lags.set(state, lag);
    if (mode === "reliable") log.attach(state.space.tails);
    return lag;
  }

  #drop(state: TagState, lag: Lag): void {
    if (!this.#lags.delete(state) || lag.mode !== "reliable") return;
    this.#takePage(lag);
    lag.log.detach();
  }

  #send(view: MessageView): void {
    if (this.subscriber.native !== null) this.#host.delivered[this.#deliveries.lane]++;
    this.#deliveries.message(view, this.topic.name);
    this.subscriber.flushLater();
  }

  #tell(name: string, from: number | null, to: number | null, detail: GapDetail): void {
    const pattern = this.topic.name?.pattern;
    this.#host.countGap(detail.code);
    this.#deliveries.gap(name, from, to, name === pattern ? detail : { ...detail, pattern });
    this.subscriber.flushLater();
  }

  #tellGap(state: TagState, { from, to, code, epoch }: Gap): void {
    this.#tell(state.tag, from, to, { code: code.code, epoch });
  }

  /** Tells of live-only messages that were dropped, before anything newer is sent. */
  #tellLost(): void {
    const { pattern } = this.topic;
    if (this.#lost > 0) this.#tell(pattern, null, null, { code: gaps.slow.code, count: this.#lost });
    if (this.#cutOff) this.#tell(pattern, null, null, { code: gaps.disconnected.code });
    this.#lost = 0;
    this.#cutOff = false;
  }

  #pumpLatest(state: TagState, lag: Lag): void {
    const { newest, droppedTo } = lag;
    if (newest !== null) {
      const skipped = newest.offset - lag.cursor - 1;
      if (skipped > 0)
        this.#tell(state.tag, lag.cursor + 1, newest.offset - 1, { code: gaps.conflated.code, count: skipped });
      if (!lag.own?.has(newest.offset)) this.#sendStored(state, lag, newest);
    }
    const told = newest?.offset ?? lag.cursor;
    if (droppedTo > told) this.#tell(state.tag, told + 1, droppedTo, { code: gaps.trimmed.code });
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
    const page = this.#takePage(lag);
    if (page !== null) return this.#sendPage(state, lag, page);
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

  /** Reads a page, unless enough are on their way: whichever arrives has the next one asked for. */
  #readPage(state: TagState, lag: Lag): void {
    if (this.#pages >= pagesMax) return;
    lag.reading = true;
    this.#pages++;
    let pumping = true;
    this.#host.settle(
      this.#host.read(state, lag.cursor),
      (page) => {
        lag.reading = false;
        if (this.#lags.get(state) !== lag) return this.#freePage();
        if (pumping) {
          this.#pages--;
          return this.#sendPage(state, lag, page);
        }
        lag.page = page;
        this.#host.wake(this);
      },
      () => {
        lag.reading = false;
        this.#pages--;
        // Tried again at the next sweep, the others first: what this log is read from may be away for longer than theirs.
        if (this.#lags.get(state) !== lag) return;
        this.#lags.delete(state);
        this.#lags.set(state, lag);
      },
    );
    pumping = false;
  }

  #freePage(): void {
    this.#pages--;
    if (!this.#closed) this.#host.wake(this);
  }

  /** The page that was read, which gives its place to another. */
  #takePage(lag: Lag): Page | null {
    const { page } = lag;
    if (page === null) return null;
    lag.page = null;
    this.#pages--;
    return page;
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
