/**
 * The way of a subscription between native topics and JavaScript: it starts here if it has something to recover, comes
 * here when its socket is slow, and goes (back) to its native topic once it has everything and the socket is drained.
 */
import type { Recovery } from "../core/recovery.ts";
import type { Clock } from "../lib/clock.ts";
import type { Settle } from "../lib/settle.ts";
import type { Attachment, Subscription } from "./attachment.ts";
import type { Distributor } from "./distributor.ts";
import type { LogFeed } from "./log-feed.ts";
import type { Presence } from "./presence.ts";
import type { SinkHost } from "./lag.ts";
import { Sink, softMarkBytes } from "./sink.ts";
import type { Subscriber } from "./subscriber.ts";

/** Bytes buffered below which a slow socket counts as drained. */
const drainedBytes = softMarkBytes / 4;

export interface SinksParts {
  readonly distributor: Distributor;
  readonly feed: LogFeed;
  readonly presence: Presence;
  readonly recovery: Recovery;
  readonly clock: Clock;
  readonly settle: Settle;
  readonly requestTurn: () => void;
  /** Milliseconds that a socket may stay above the soft mark. */
  readonly slowDeadlineMs: number;
  readonly attachmentOf: (subscriber: Subscriber) => Attachment | undefined;
}

export class Sinks implements SinkHost {
  readonly counts = { slowDropped: 0, conflated: 0, trimmed: 0, demoted: 0, tooSlow: 0 };
  readonly delivered = { msgpack: 0, json: 0 };
  readonly recovery: Recovery;
  readonly settle: Settle;
  readonly #parts: SinksParts;
  readonly #open = new Set<Sink>();
  #woken = new Set<Sink>();

  constructor(parts: SinksParts) {
    this.#parts = parts;
    this.recovery = parts.recovery;
    this.settle = parts.settle;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Bytes kept for subscribers that lag behind, beside what is buffered for their sockets. */
  kept(): ReadonlyMap<Subscriber, number> {
    const kept = new Map<Subscriber, number>();
    for (const sink of this.#open) {
      if (!sink.idle) kept.set(sink.subscriber, (kept.get(sink.subscriber) ?? 0) + sink.keptBytes);
    }
    return kept;
  }

  /** The subscription's sink, made if it has none; messages go through it from now on. */
  open(subscription: Subscription): Sink {
    if (subscription.sink !== null) return subscription.sink;
    const sink = new Sink(subscription.topic, subscription.attachment.subscriber, this);
    subscription.sink = sink;
    subscription.phase = "sink";
    subscription.topic.addSink(sink);
    this.#open.add(sink);
    return sink;
  }

  /** A subscription that was answered goes live: natively if it can and nothing holds it here. */
  goLive(subscription: Subscription): void {
    const { native } = subscription.attachment.subscriber;
    const slow = subscription.attachment.slowSinceMs !== null;
    if (native === null || slow || subscription.sink !== null) this.open(subscription);
    else if (!this.#goNative(subscription)) this.wake(this.open(subscription));
  }

  /** Takes the subscription off its native topic, or closes its sink; what gathered before is delivered. */
  leave(subscription: Subscription): void {
    const { topic, sink } = subscription;
    const { native } = subscription.attachment.subscriber;
    if (subscription.phase === "native" && native !== null) {
      this.#parts.distributor.flushLane(topic[subscription.lane]);
      topic.leave(native, subscription.lane);
    }
    if (sink !== null) this.#discard(subscription, sink);
  }

  wake(sink: Sink): void {
    this.#woken.add(sink);
    if (this.#woken.size === 1) this.#parts.requestTurn();
  }

  /** End of a turn. */
  pump(): void {
    if (this.#woken.size === 0) return;
    const woken = this.#woken;
    this.#woken = new Set();
    for (const sink of woken) sink.pump();
  }

  caughtUp(sink: Sink): void {
    const attachment = this.#parts.attachmentOf(sink.subscriber);
    const subscription = attachment?.subscriptions.get(sink.topic.pattern);
    if (attachment === undefined || subscription?.sink !== sink || sink.subscriber.native === null) return;
    if (attachment.slowSinceMs !== null && sink.subscriber.bufferedBytes() > drainedBytes) return;
    attachment.slowSinceMs = null;
    if (this.#goNative(subscription)) this.#parts.presence.resume(subscription);
    else this.wake(sink);
  }

  /** The socket took what was buffered. */
  drained(attachment: Attachment): void {
    for (const { sink } of attachment.subscriptions.values()) if (sink !== null) this.wake(sink);
  }

  /** Looks at one subscriber: slow ones leave their native topics, those slow for too long are told to go. */
  inspect(attachment: Attachment): void {
    const { subscriber } = attachment;
    const now = this.#parts.clock.monotonicMs();
    const buffered = subscriber.bufferedBytes();
    if (buffered > softMarkBytes) {
      if (attachment.slowSinceMs === null) {
        attachment.slowSinceMs = now;
        if (subscriber.native !== null) this.counts.demoted++;
        this.#demote(attachment);
      } else if (now - attachment.slowSinceMs > this.#parts.slowDeadlineMs) {
        this.counts.tooSlow++;
        subscriber.tooSlow();
      }
    } else if (attachment.slowSinceMs !== null) {
      attachment.slowSinceMs = buffered <= drainedBytes ? null : now;
      this.drained(attachment);
    }
  }

  /** Sinks whose read of a log failed, or whose socket drained without saying so, go on. */
  wakeAll(): void {
    for (const sink of this.#open) if (!sink.idle || sink.subscriber.native !== null) this.wake(sink);
  }

  /** What is deferred of its topics leaves through the sinks, at the pace of the socket: it must not pile up there. */
  #demote(attachment: Attachment): void {
    const { native } = attachment.subscriber;
    if (native === null) return;
    for (const subscription of attachment.subscriptions.values()) {
      if (subscription.phase !== "native") continue;
      const lane = subscription.topic[subscription.lane];
      this.#parts.distributor.flushLane(lane);
      const deferred = this.#parts.distributor.deferredFor(lane, native);
      this.leave(subscription);
      this.open(subscription).takeOver(deferred);
      this.#parts.presence.hear(subscription, false);
    }
  }

  /** False where the socket cannot join now, since something of the topic is deferred that is not for it. */
  #goNative(subscription: Subscription): boolean {
    const { topic, sink } = subscription;
    const { native, frames } = subscription.attachment.subscriber;
    if (native === null || !this.#parts.distributor.flushLane(topic[subscription.lane])) return false;
    frames.flush();
    if (sink !== null) this.#discard(subscription, sink);
    topic.join(native, subscription.lane, this.#parts.distributor);
    subscription.phase = "native";
    return true;
  }

  #discard(subscription: Subscription, sink: Sink): void {
    sink.close();
    subscription.topic.deleteSink(sink);
    subscription.sink = null;
    this.#open.delete(sink);
    this.#woken.delete(sink);
  }

  read(...[state, cursor]: Parameters<SinkHost["read"]>): ReturnType<SinkHost["read"]> {
    return this.#parts.feed.read(state, cursor);
  }

  countGap(code: number): void {
    this.#parts.distributor.countGap(code);
  }

  verify(...[state]: Parameters<SinkHost["verify"]>): void {
    this.#parts.feed.verify(state);
  }
}
