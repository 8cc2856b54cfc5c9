/**
 * Subscribing, step by step: the topic and the broker's interest in it, presence, the position read after that interest
 * was confirmed, the answer, what is to be recovered, and at last the native topic. Unsubscribing undoes it.
 */
import type { Answer, Broker, Page } from "../broker/broker.ts";
import type { UnsubscribeCode } from "../core/codes.ts";
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Position } from "../core/position.ts";
import type { Recovery } from "../core/recovery.ts";
import { hasWildcard, matches } from "../core/tag.ts";
import type { Settle } from "../lib/settle.ts";
import type { ResultValue, SubscribeMessage } from "../wire/messages.ts";
import type { Attachment } from "./attachment.ts";
import { Subscription } from "./attachment.ts";
import type { Distributor } from "./distributor.ts";
import type { GapNotices } from "./gap-notices.ts";
import type { LogFeed } from "./log-feed.ts";
import type { Presence } from "./presence.ts";
import { membersResult } from "./presence.ts";
import type { Sinks } from "./sinks.ts";
import type { Space, TagState } from "./space.ts";
import { startingPoint, startOf, tellStart } from "./starting-point.ts";
import type { Requester, SubscribeRequest } from "./subscriber.ts";
import { deliveriesOf } from "./subscriber.ts";
import type { Topic } from "./topic.ts";
import { recoverWildcard } from "./wildcard-recovery.ts";

export interface SubscriptionsParts {
  readonly broker: Broker;
  readonly distributor: Distributor;
  readonly feed: LogFeed;
  readonly presence: Presence;
  readonly sinks: Sinks;
  readonly notices: GapNotices;
  readonly recovery: Recovery;
  readonly settle: Settle;
  /** Patterns one subscriber may hold. */
  readonly subscriptionsMax: number;
}

/** A subscribe under way. */
export interface Opening {
  readonly space: Space;
  readonly subscription: Subscription;
  readonly message: SubscribeRequest;
  readonly requester: Requester;
}

/** Reads only the position. */
const nothingKnown = Number.MAX_SAFE_INTEGER;

export class Subscriptions {
  /** Subscriptions of all subscribers. */
  count = 0;
  readonly #parts: SubscriptionsParts;
  /** Live-only topics that the broker has refused interest in: only what is published here reaches them. */
  readonly #unbridged = new Set<Topic>();

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
  }

  /**
   * Subscribes to a valid pattern that the subscriber may read; the requester is answered now or later.
   * @throws ProtocolError `alreadySubscribed`, `limitExceeded`, `noPresence`, `badRequest`
   */
  open(space: Space, attachment: Attachment, message: SubscribeRequest, requester: Requester): void {
    const { pattern } = message;
    const { subscriptions } = attachment;
    if (subscriptions.has(pattern)) throw new ProtocolError(errors.alreadySubscribed);
    if (subscriptions.size >= this.#parts.subscriptionsMax) throw new ProtocolError(errors.limitExceeded);
    const wildcard = hasWildcard(pattern);
    assertSince(message);
    if (message.presence && (wildcard || !space.tag(pattern).rule.presence)) throw new ProtocolError(errors.noPresence);
    space.assertRoom({ pattern, wildcard, presence: !wildcard && space.tag(pattern).rule.presence });
    const topic = space.topic(pattern, wildcard);
    topic.holders++;
    const subscription = new Subscription(attachment, topic, wildcard ? null : space.tag(pattern));
    space.subscriptions++;
    if (subscription.countsAsMember) space.members++;
    subscription.wantsPresence = message.presence;
    subscription.refuse = (code) => requester.refused(message.ref, code);
    subscriptions.set(pattern, subscription);
    this.count++;
    const opening = { space, subscription, message, requester };
    this.#parts.settle(
      staysHere(subscription) ? undefined : this.#interest(topic),
      () => this.#interested(opening),
      () => this.#uninterested(opening),
    );
  }

  /** A subscribe that is still to be answered is refused. @throws ProtocolError `notSubscribed` */
  close(space: Space, attachment: Attachment, pattern: string): void {
    const subscription = attachment.subscriptions.get(pattern);
    if (subscription === undefined) throw new ProtocolError(errors.notSubscribed);
    const { refuse } = subscription;
    this.end(space, subscription);
    refuse?.(errors.notSubscribed);
  }

  /** Ends a subscription that the subscriber did not ask to end, and tells it why. */
  revoke(space: Space, subscription: Subscription, code: UnsubscribeCode): void {
    const { refuse } = subscription;
    this.end(space, subscription);
    if (refuse !== null) refuse(errors.denied);
    else subscription.attachment.subscriber.unsubscribed(subscription.topic.pattern, code);
  }

  /** Ends a subscription without a word. */
  end(space: Space, subscription: Subscription): void {
    if (subscription.phase === "ended") return;
    const { attachment, topic } = subscription;
    this.#parts.sinks.leave(subscription);
    subscription.phase = "ended";
    subscription.refuse = null;
    this.#parts.presence.hear(subscription, false);
    this.#parts.presence.leave(subscription);
    attachment.subscriptions.delete(topic.pattern);
    this.count--;
    space.subscriptions--;
    if (subscription.countsAsMember) space.members--;
    if (--topic.holders > 0) return;
    space.removeTopic(topic);
    this.#unbridged.delete(topic);
    if (topic.interest !== "none") this.#parts.broker.unsubscribe(topic.app, topic.pattern);
    topic.interest = "none";
  }

  /** The broker may be back: asks again for the interest that it has refused. */
  bridge(): void {
    for (const topic of this.#unbridged) this.#parts.settle(this.#interest(topic), nothing, nothing);
  }

  /** Messages of other instances may have been lost: whoever may miss some is told. */
  cutOff(space: Space): void {
    for (const [topic] of space.topics()) {
      // Those that are still cut off are told when they no longer are.
      if (!this.#unbridged.has(topic) && space.mayRelay(topic.pattern)) this.#parts.notices.cutOff(topic);
    }
  }

  /** The broker's confirmation that this instance gets what is published to the topic; asked for once. */
  #interest(topic: Topic): Answer<void> {
    if (topic.interest === "confirmed") return;
    if (topic.interest !== "none") return topic.interest;
    const answer = this.#parts.broker.subscribe(topic.app, topic.pattern);
    if (!(answer instanceof Promise)) return this.#confirmed(topic);
    topic.interest = answer.then(
      () => {
        if (topic.interest !== "none") this.#confirmed(topic);
      },
      (reason: unknown) => {
        topic.interest = "none";
        throw reason;
      },
    );
    return topic.interest;
  }

  #confirmed(topic: Topic): void {
    topic.interest = "confirmed";
    if (this.#unbridged.delete(topic)) this.#parts.notices.cutOff(topic);
  }

  #interested(opening: Opening): void {
    const { subscription } = opening;
    if (subscription.phase === "ended") return;
    const { state } = subscription;
    if (state === null) return this.#openWildcard(opening);
    if (state.rule.presence) this.#join(opening, state);
    else this.#read(opening, state, {});
  }

  /** The broker is away. What is only ever live goes on with what is published here. */
  #uninterested(opening: Opening): void {
    const { space, subscription } = opening;
    const { topic, state } = subscription;
    if (subscription.phase === "ended") return;
    if (topic.interest === "confirmed") return this.#interested(opening);
    const needed = state === null ? space.mayKeepLog(topic.pattern) : state.keepsLog || state.rule.presence;
    if (needed) return this.#fail(opening);
    this.#unbridged.add(topic);
    this.#answer(opening, { bridged: false }, null);
  }

  /** Joins the members before the position is read: from there to the answer nothing may come between. */
  #join(opening: Opening, state: TagState): void {
    const { subscription, message } = opening;
    const { presence } = this.#parts;
    const failed = () => this.#fail(opening);
    if (message.presence) presence.hear(subscription, true);
    this.#parts.settle(
      presence.join(subscription, state, message.info),
      () => {
        if (!message.presence) return this.#read(opening, state, {});
        this.#parts.settle(
          presence.members(state),
          (members) => this.#read(opening, state, { presence: membersResult(members) }),
          failed,
        );
      },
      failed,
    );
  }

  #read(opening: Opening, state: TagState, result: Record<string, ResultValue>): void {
    const { subscription, message } = opening;
    if (subscription.phase === "ended") return;
    if (!state.keepsLog) return this.#answer(opening, result, null);
    const since = message.since as Position | null;
    this.#parts.feed.open(
      state,
      since === null ? nothingKnown : since.offset,
      (page) => this.#start(opening, state, page, result),
      () => this.#fail(opening),
    );
  }

  #start(opening: Opening, state: TagState, page: Page, result: Record<string, ResultValue>): void {
    const { subscription, message } = opening;
    const { log } = state;
    if (subscription.phase === "ended" || log === null) return;
    const wish = { since: message.since as Position | null, last: message.last, retain: state.rule.retain };
    const start = startingPoint(wish, page, log, this.#parts.recovery);
    const { epoch, offset } = start.position;
    result["position"] = [epoch, offset];
    const from = startOf(start);
    if (from !== undefined) result["start"] = from;
    if (start.recovered !== null) result["recovered"] = start.recovered;
    this.#answer(opening, result, () => {
      if (start.gap !== null) this.#parts.sinks.countGap(start.gap.code.code);
      const deliveries = deliveriesOf(subscription.attachment.subscriber, state.tag);
      tellStart(deliveries, { topic: subscription.topic, tag: state.tag, since: wish.since, start });
      if (start.cursor !== log.top) this.#parts.sinks.open(subscription).recover(state, start.cursor);
    });
  }

  /** The answer, then what `recover` starts, then live messages. */
  #answer(opening: Opening, result: Record<string, ResultValue>, recover: (() => void) | null): void {
    const { subscription, message, requester } = opening;
    if (subscription.phase === "ended") return;
    subscription.refuse = null;
    if (message.ref !== 0) nameByAlias(subscription, result);
    requester.answered(message.ref, result);
    recover?.();
    this.#parts.sinks.goLive(subscription);
  }

  #openWildcard(opening: Opening): void {
    recoverWildcard(
      { ...this.#parts, opening },
      (result, recover) => this.#answer(opening, result, recover),
      () => this.#fail(opening),
    );
  }

  #fail({ space, subscription, message, requester }: Opening): void {
    if (subscription.phase === "ended") return;
    this.end(space, subscription);
    requester.refused(message.ref, errors.unavailable);
  }
}

/** Whether only what is published on this instance can reach the subscription. */
function staysHere({ state }: Subscription): boolean {
  return state !== null && state.rule.local && !state.keepsLog && !state.rule.presence;
}

function nothing(): void {}

/** The tag goes by an alias from this answer on, where the subscriber wants that. */
function nameByAlias(subscription: Subscription, result: Record<string, ResultValue>): void {
  const { state, topic, attachment } = subscription;
  const alias = state === null ? null : (attachment.subscriber.aliases?.give(state) ?? null);
  if (alias === null) return;
  topic.alias = alias;
  subscription.lane = "aliased";
  result["alias"] = alias.number;
}

/** A position belongs to a tag, a map of positions to a pattern with wildcards. */
function assertSince({ pattern, since }: SubscribeMessage): void {
  if (since === null) return;
  if (hasWildcard(pattern) !== since instanceof Map) {
    throw new ProtocolError(
      errors.badRequest,
      "`since` is a position for a tag, a map of positions for a pattern with wildcards",
    );
  }
  if (!(since instanceof Map)) return;
  for (const tag of since.keys()) {
    if (!matches(pattern, tag))
      throw new ProtocolError(errors.badRequest, "A tag of `since` does not match the pattern");
  }
}
