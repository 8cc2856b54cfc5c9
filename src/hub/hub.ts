/**
 * The use cases of one process: publish, subscribe, unsubscribe, history, presence. Every gateway enters here, under the
 * same grants and codes. Knows the order of the steps; each step is a part of its own.
 */
import type { Answer, Broker, RelayedMessage, Resync } from "../broker/broker.ts";
import { errors, unsubscribes } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { Recovery } from "../core/recovery.ts";
import { recovery as soundRecovery } from "../core/recovery.ts";
import type { TagRule } from "../core/tag-rule.ts";
import { assertPattern, assertTag } from "../core/tag.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { Histogram } from "../lib/histogram.ts";
import type { Settle } from "../lib/settle.ts";
import { settling } from "../lib/settle.ts";
import type { HistoryMessage, PresenceMessage } from "../wire/messages.ts";
import { Attachment } from "./attachment.ts";
import { Comparison } from "./comparison.ts";
import { assertGranted, mayPublish, maySubscribe } from "./authorize.ts";
import { Distributor } from "./distributor.ts";
import { GapNotices } from "./gap-notices.ts";
import { HeldBack } from "./held-back.ts";
import { answerHistory } from "./history.ts";
import { ConnectionCounts } from "./limits.ts";
import type { TopicStatus } from "./live-topics.ts";
import { liveTopics } from "./live-topics.ts";
import { LogFeed } from "./log-feed.ts";
import { Presence, membersResult } from "./presence.ts";
import type { Publication } from "./publishing.ts";
import { Publishing, SeveralTags } from "./publishing.ts";
import { Sinks } from "./sinks.ts";
import type { TagState } from "./space.ts";
import { Space } from "./space.ts";
import type { SpaceLimits, SpaceMeter } from "./space-limits.ts";
import type { Publisher, Requester, SubscribeRequest, Subscriber } from "./subscriber.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { Flushable } from "./turn.ts";
import { Turn } from "./turn.ts";

/** How often sockets are looked at for slowness. */
const sweepMs = 250;
/** Unique bytes after which they are looked at without waiting for that. */
const sweepBytes = 1024 * 1024;
/** Topics that a message may go to without being charged for them: as many as publishers usually see. */
const freeTopics = 16;

/** Seconds. */
const latencyBounds = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

const none: readonly string[] = [];

export interface HubOptions extends SpaceLimits {
  readonly broker: Broker;
  readonly clock: Clock;
  /** Tag rules by application. */
  readonly applications: ReadonlyMap<string, readonly TagRule[]>;
  readonly subscriptionsMax: number;
  readonly slowDeadlineMs: number;
  /** Bytes of messages that may wait for a later turn; absent: without a bound. */
  readonly backlogMaxBytes?: number;
  /** Replaced only by tests that prove what each rule of recovery is good for. */
  readonly recovery?: Recovery;
  /** From 0 to 1; absent: `Math.random`. */
  readonly random?: () => number;
  /** Told of errors that only a fault of this program can cause; the server goes on for everybody else. */
  readonly onTrouble: (error: unknown) => void;
}

export class Hub {
  readonly distributor: Distributor;
  readonly connections: ConnectionCounts;
  /**
   * Seconds from the first thing that a turn had to do until its topics were published, once for each of them: no less
   * than what any message of the turn took.
   */
  readonly latency = new Histogram(latencyBounds);
  readonly publishing: Publishing;
  readonly sinks: Sinks;
  readonly subscriptions: Subscriptions;
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #recovery: Recovery;
  readonly #settle: Settle;
  readonly #spaces: ReadonlyMap<string, Space>;
  readonly #presence: Presence;
  readonly #feed: LogFeed;
  readonly #comparison: Comparison;
  readonly #turn: Turn;
  readonly #attachments = new Map<Subscriber, Attachment>();
  readonly #heldBack: HeldBack;
  #sweeper: Timer | null = null;

  constructor(options: HubOptions) {
    const { broker, clock, applications, subscriptionsMax, slowDeadlineMs, onTrouble } = options;
    const { recovery = soundRecovery, random = Math.random, backlogMaxBytes = Infinity } = options;
    this.#broker = broker;
    this.connections = new ConnectionCounts(broker.shared?.counts);
    this.#clock = clock;
    this.#recovery = recovery;
    this.#spaces = new Map([...applications].map(([app, rules]) => [app, new Space(app, rules, options)]));
    this.#turn = new Turn(
      clock,
      [() => this.publishing.flush(), () => this.#fanOut(), () => this.sinks.pump()],
      onTrouble,
    );
    const requestTurn = this.#turn.request;
    const distributor = new Distributor(requestTurn, backlogMaxBytes);
    const settle = settling(onTrouble);
    const notices = new GapNotices(distributor);
    const parts = { broker, clock, distributor, notices, recovery, settle, spaces: this.#spaces };
    const presence = new Presence(parts);
    const feed = new LogFeed(parts);
    const attachmentOf = (subscriber: Subscriber) => this.#attachments.get(subscriber);
    this.distributor = distributor;
    this.#heldBack = new HeldBack(distributor, backlogMaxBytes);
    this.#settle = settle;
    this.#presence = presence;
    this.#feed = feed;
    this.#comparison = new Comparison({ ...parts, feed, random, onTrouble, bridge: () => this.subscriptions.bridge() });
    this.publishing = new Publishing({ ...parts, requestTurn });
    this.sinks = new Sinks({ ...parts, feed, presence, requestTurn, slowDeadlineMs, attachmentOf });
    this.subscriptions = new Subscriptions({ ...parts, feed, presence, sinks: this.sinks, subscriptionsMax });
  }

  start(): Answer<void> {
    this.#sweeper = this.#clock.every(sweepMs, () => this.#sweep(true));
    this.#comparison.start();
    return this.#broker.start({
      messages: (event) => this.#feed.messages(event),
      presence: (event) => this.#presence.changed(event),
      relayed: (event) => this.#relayed(event),
      resynced: (event) => this.#resynced(event),
    });
  }

  stop(): Answer<void> {
    this.#sweeper?.cancel();
    this.#comparison.stop();
    return this.#broker.stop();
  }

  ready(): boolean {
    return this.#broker.ready();
  }

  /** Whether so much waits to be sent that whoever publishes is to wait too. */
  get congested(): boolean {
    return this.#heldBack.congested;
  }

  /** Whether the application is configured: a token may be signed for one that is not. */
  serves(app: string): boolean {
    return this.#spaces.has(app);
  }

  /** What is known of a valid tag; keep it only until its `forgotten` turns true. */
  tag(app: string, tag: string): TagState {
    return this.#space(app).tag(tag);
  }

  /** The tag, for somebody who is to publish to it. @throws ProtocolError `invalidTag`, `denied` */
  target(identity: Identity, tag: string): TagState {
    assertTag(tag);
    if (!mayPublish(identity, tag)) throw new ProtocolError(errors.denied);
    return this.tag(identity.app, tag);
  }

  /**
   * Publishes to a tag that the publisher may publish to. True: done, nobody will be told by ref. False: the tag keeps a
   * log, and `publisher` is told by ref once the broker has the message, or why not.
   */
  publish(state: TagState, what: Publication, publisher: Publisher, ref: number): boolean {
    if (state.keepsLog) this.publishing.append(state, what, publisher, ref);
    else this.publishing.deliver(state, what);
    if (state.only === null && state.topics.length > freeTopics) publisher.pace?.charge(state.topics.length);
    if (this.#heldBack.congested) this.#heldBack.add(publisher);
    return !state.keepsLog;
  }

  /** One message per tag, in their order; `publisher` is answered by ref once all are settled. */
  publishToSeveral(
    states: readonly TagState[],
    what: Publication,
    publisher: Publisher & Requester,
    ref: number,
  ): void {
    const outcome = new SeveralTags(publisher, ref, states.length);
    for (const [index, state] of states.entries()) {
      if (this.publish(state, what, outcome, index)) outcome.done();
    }
  }

  /** @throws ProtocolError for what can be refused at once; else `requester` is answered now or later */
  subscribe(subscriber: Subscriber, message: SubscribeRequest, requester: Requester): void {
    const { pattern } = message;
    const { identity } = subscriber;
    assertPattern(pattern);
    if (!maySubscribe(identity, pattern, subscriber.replyPrefix)) throw new ProtocolError(errors.denied);
    if (message.since !== null || message.last !== null) assertGranted(identity, "history", pattern);
    if (message.presence) assertGranted(identity, "presence", pattern);
    this.publishing.settleTag(this.#space(identity.app), pattern);
    let attachment = this.#attachments.get(subscriber);
    if (attachment === undefined) {
      attachment = new Attachment(subscriber);
      this.#attachments.set(subscriber, attachment);
    }
    this.subscriptions.open(this.#space(identity.app), attachment, message, requester);
  }

  /** @throws ProtocolError `notSubscribed` */
  unsubscribe(subscriber: Subscriber, pattern: string): void {
    const attachment = this.#attachments.get(subscriber);
    if (attachment === undefined) throw new ProtocolError(errors.notSubscribed);
    this.subscriptions.close(this.#space(subscriber.identity.app), attachment, pattern);
  }

  /** @throws ProtocolError for what can be refused at once; else `requester` is answered now or later */
  history(message: HistoryMessage, requester: Requester & { readonly identity: Publisher["identity"] }): void {
    const { app } = requester.identity;
    assertTag(message.tag);
    assertGranted(requester.identity, "history", message.tag);
    const { rule } = this.tag(app, message.tag);
    if (rule.history === null) throw new ProtocolError(errors.noHistory);
    this.publishing.settleTag(this.#space(app), message.tag);
    answerHistory({
      broker: this.#broker,
      recovery: this.#recovery,
      settle: this.#settle,
      app,
      rule,
      message,
      requester,
    });
  }

  /** @throws ProtocolError for what can be refused at once; else `requester` is answered now or later */
  presence(message: PresenceMessage, requester: Requester & { readonly identity: Publisher["identity"] }): void {
    assertTag(message.tag);
    assertGranted(requester.identity, "presence", message.tag);
    const state = this.tag(requester.identity.app, message.tag);
    if (!state.rule.presence) throw new ProtocolError(errors.noPresence);
    this.#settle(
      this.#presence.members(state),
      (members) => requester.answered(message.ref, membersResult(members)),
      () => requester.refused(message.ref, errors.unavailable),
    );
  }

  /** Topics with subscribers here that a pattern covers. @throws ProtocolError `invalidPattern`, `denied` */
  liveTopics(identity: Identity, pattern: string): TopicStatus[] {
    assertPattern(pattern);
    assertGranted(identity, "admin", pattern);
    return liveTopics(this.#space(identity.app), pattern);
  }

  /** Topics here, by application. */
  *topicCounts(): Iterable<readonly [app: string, topics: number]> {
    for (const [app, space] of this.#spaces) yield [app, space.topicCount];
  }

  /** What clients have made grow, by application. */
  *figures(): Iterable<readonly [app: string, figures: SpaceMeter]> {
    for (const [app, space] of this.#spaces) yield [app, space.meter()];
  }

  /** Publishers held back so far. */
  get heldBack(): number {
    return this.#heldBack.count;
  }

  /** Subscribers that are slow now. */
  get slowSubscribers(): number {
    let slow = 0;
    for (const { slowSinceMs } of this.#attachments.values()) if (slowSinceMs !== null) slow++;
    return slow;
  }

  /** The patterns that somebody is subscribed to. */
  subscriptionsOf(subscriber: Subscriber): readonly string[] {
    return this.#attachments.get(subscriber)?.subscriptions.keys() ?? none;
  }

  /** The subscriber's grants have changed: what they no longer cover ends with op 21. */
  regrant(subscriber: Subscriber): void {
    const attachment = this.#attachments.get(subscriber);
    if (attachment === undefined) return;
    const space = this.#space(subscriber.identity.app);
    const { identity, replyPrefix } = subscriber;
    for (const [pattern, subscription] of attachment.subscriptions) {
      const mayHear = !subscription.wantsPresence || identity.grants.allows("presence", pattern);
      if (mayHear && maySubscribe(identity, pattern, replyPrefix)) continue;
      this.subscriptions.revoke(space, subscription, unsubscribes.revoked);
    }
  }

  /** The subscriber is gone. */
  detach(subscriber: Subscriber): void {
    this.#heldBack.forget(subscriber);
    const attachment = this.#attachments.get(subscriber);
    if (attachment === undefined) return;
    this.#attachments.delete(subscriber);
    const space = this.#space(subscriber.identity.app);
    for (const subscription of attachment.subscriptions.values()) this.subscriptions.end(space, subscription);
  }

  /** The subscriber's socket took what was buffered for it. */
  drained(subscriber: Subscriber): void {
    const attachment = this.#attachments.get(subscriber);
    if (attachment !== undefined) this.sinks.drained(attachment);
  }

  /** Answers of a connection leave at the end of this turn, after the topics. */
  flushLater(connection: Flushable): void {
    this.#turn.flushLater(connection);
  }

  #relayed(event: RelayedMessage): void {
    const space = this.#spaces.get(event.app);
    if (space !== undefined) this.publishing.relayed(space, event);
  }

  #resynced({ relayed }: Resync): void {
    if (relayed) for (const space of this.#spaces.values()) this.subscriptions.cutOff(space);
    this.subscriptions.bridge();
    this.#comparison.resynced();
    this.#presence.resynced();
  }

  #fanOut(): void {
    const topics = this.distributor.flush();
    if (topics > 0) this.latency.observe((this.#clock.monotonicMs() - this.#turn.beganAtMs) / 1000, topics);
    if (this.distributor.bytesSinceSweep >= sweepBytes) this.#sweep(false);
    this.#heldBack.relieve();
  }

  #sweep(periodic: boolean): void {
    this.distributor.bytesSinceSweep = 0;
    for (const attachment of this.#attachments.values()) this.sinks.inspect(attachment);
    if (periodic) this.sinks.wakeAll();
  }

  #space(app: string): Space {
    const space = this.#spaces.get(app);
    if (space === undefined) throw new ProtocolError(errors.denied, "The application of this token is not configured");
    return space;
  }
}
