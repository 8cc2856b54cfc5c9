/**
 * The use cases of one process: publish, subscribe, unsubscribe, history, presence. Every gateway enters here, under the
 * same grants and codes. Knows the order of the steps; each step is a part of its own.
 */
import type { Answer, Broker } from "../broker/broker.ts";
import { errors, unsubscribes } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Recovery } from "../core/recovery.ts";
import { recovery as soundRecovery } from "../core/recovery.ts";
import type { TagRule } from "../core/tag-rule.ts";
import { assertPattern, assertTag } from "../core/tag.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { settle } from "../lib/settle.ts";
import type { HistoryMessage, PresenceMessage, SubscribeMessage } from "../wire/messages.ts";
import { Attachment } from "./attachment.ts";
import { assertGranted, maySubscribe } from "./authorize.ts";
import { Distributor } from "./distributor.ts";
import { answerHistory } from "./history.ts";
import { ConnectionCounts } from "./limits.ts";
import { LogFeed } from "./log-feed.ts";
import { Presence, membersResult } from "./presence.ts";
import type { Publication } from "./publishing.ts";
import { Publishing } from "./publishing.ts";
import { Sinks } from "./sinks.ts";
import type { TagState } from "./space.ts";
import { Space } from "./space.ts";
import type { NativeConnection, Publisher, Requester, Subscriber } from "./subscriber.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { Flushable } from "./turn.ts";
import { Turn } from "./turn.ts";

/** How often sockets are looked at for slowness. */
const sweepMs = 250;
/** Unique bytes after which they are looked at without waiting for that. */
const sweepBytes = 1024 * 1024;
/** Deferred bytes above which publishers are not read from, and below which they are again. */
const congestedBytes = 16 * 1024 * 1024;
const relievedBytes = 8 * 1024 * 1024;

export interface HubOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  /** Tag rules by application. */
  readonly applications: ReadonlyMap<string, readonly TagRule[]>;
  readonly subscriptionsMax: number;
  readonly slowDeadlineMs: number;
  /** Replaced only by tests that prove what each rule of recovery is good for. */
  readonly recovery?: Recovery;
}

export class Hub {
  readonly distributor: Distributor;
  readonly connections = new ConnectionCounts();
  readonly publishing: Publishing;
  readonly sinks: Sinks;
  readonly subscriptions: Subscriptions;
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #spaces: ReadonlyMap<string, Space>;
  readonly #presence: Presence;
  readonly #feed: LogFeed;
  readonly #turn: Turn;
  readonly #attachments = new Map<Subscriber, Attachment>();
  readonly #paused = new Set<NativeConnection>();
  #sweeper: Timer | null = null;

  constructor({ broker, clock, applications, subscriptionsMax, slowDeadlineMs, recovery = soundRecovery }: HubOptions) {
    this.#broker = broker;
    this.#clock = clock;
    this.#spaces = new Map([...applications].map(([app, rules]) => [app, new Space(app, rules)]));
    this.#turn = new Turn(clock, [() => this.publishing.flush(), () => this.#fanOut(), () => this.sinks.pump()]);
    const requestTurn = this.#turn.request;
    const distributor = new Distributor(requestTurn);
    const parts = { broker, clock, distributor, recovery, spaces: this.#spaces };
    const presence = new Presence(parts);
    const feed = new LogFeed(parts);
    const attachmentOf = (subscriber: Subscriber) => this.#attachments.get(subscriber);
    this.distributor = distributor;
    this.#presence = presence;
    this.#feed = feed;
    this.publishing = new Publishing(broker, distributor, requestTurn);
    this.sinks = new Sinks({ ...parts, feed, presence, requestTurn, slowDeadlineMs, attachmentOf });
    this.subscriptions = new Subscriptions({ ...parts, feed, presence, sinks: this.sinks, subscriptionsMax });
  }

  start(): Answer<void> {
    this.#sweeper = this.#clock.every(sweepMs, () => this.#sweep(true));
    return this.#broker.start({
      messages: (event) => this.#feed.messages(event),
      presence: (event) => this.#presence.changed(event),
    });
  }

  stop(): Answer<void> {
    this.#sweeper?.cancel();
    return this.#broker.stop();
  }

  ready(): boolean {
    return this.#broker.ready();
  }

  /** What is known of a valid tag; keep it only until its `forgotten` turns true. */
  tag(app: string, tag: string): TagState {
    return this.#space(app).tag(tag);
  }

  /**
   * Publishes to a tag that the publisher may publish to. True: done, nobody will be told by ref. False: the tag keeps a
   * log, and `publisher` is told by ref once the broker has the message, or why not.
   */
  publish(state: TagState, what: Publication, publisher: Publisher, ref: number): boolean {
    if (state.keepsLog) this.publishing.append(state, what, publisher, ref);
    else this.publishing.deliver(state, what);
    if (this.distributor.backlogBytes > congestedBytes) this.#pause(publisher.native);
    return !state.keepsLog;
  }

  /** @throws ProtocolError for what can be refused at once; else `requester` is answered now or later */
  subscribe(subscriber: Subscriber, message: SubscribeMessage, requester: Requester): void {
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
    answerHistory({ broker: this.#broker, app, rule, message, requester });
  }

  /** @throws ProtocolError for what can be refused at once; else `requester` is answered now or later */
  presence(message: PresenceMessage, requester: Requester & { readonly identity: Publisher["identity"] }): void {
    assertTag(message.tag);
    assertGranted(requester.identity, "presence", message.tag);
    const state = this.tag(requester.identity.app, message.tag);
    if (!state.rule.presence) throw new ProtocolError(errors.noPresence);
    settle(
      this.#presence.members(state),
      (members) => requester.answered(message.ref, membersResult(members)),
      () => requester.refused(message.ref, errors.unavailable),
    );
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
    if (subscriber.native !== null) this.#paused.delete(subscriber.native);
    const attachment = this.#attachments.get(subscriber);
    if (attachment === undefined) return;
    this.#attachments.delete(subscriber);
    const space = this.#space(subscriber.identity.app);
    for (const subscription of [...attachment.subscriptions.values()]) this.subscriptions.end(space, subscription);
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

  #fanOut(): void {
    this.distributor.flush();
    if (this.distributor.bytesSinceSweep >= sweepBytes) this.#sweep(false);
    if (this.#paused.size > 0 && this.distributor.backlogBytes < relievedBytes) this.#resumeAll();
  }

  #sweep(periodic: boolean): void {
    this.distributor.bytesSinceSweep = 0;
    for (const attachment of this.#attachments.values()) {
      if (attachment.subscriber.native !== null) this.sinks.inspect(attachment);
    }
    if (periodic) this.sinks.wakeAll();
  }

  #pause(connection: NativeConnection | null): void {
    if (connection === null || this.#paused.has(connection)) return;
    this.#paused.add(connection);
    connection.pause();
  }

  #resumeAll(): void {
    for (const connection of this.#paused) connection.resume();
    this.#paused.clear();
  }

  #space(app: string): Space {
    const space = this.#spaces.get(app);
    if (space === undefined) throw new ProtocolError(errors.denied, "The application of this token is not configured");
    return space;
  }
}
