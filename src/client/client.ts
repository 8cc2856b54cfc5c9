/**
 * The TypeScript SDK, for browsers, Bun and Node: one client keeps one connection, with everything that hangs on it, over
 * reconnects. This file is its whole surface.
 */
import { errors } from "../core/codes.ts";
import { op } from "../wire/messages.ts";
import { Connection } from "./connection.ts";
import { refused, TagcastError } from "./errors.ts";
import { Emitter } from "./events.ts";
import { history, historyPages } from "./history.ts";
import { asNumber, asPresence, asText, type Fields } from "./inbound.ts";
import type { Link } from "./link.ts";
import { OwnTags } from "./own-tags.ts";
import { Publisher, type TagOutcome } from "./publisher.ts";
import { repeated } from "./repeat.ts";
import { Replies } from "./replies.ts";
import { Subscriptions } from "./subscriptions.ts";
import type {
  ClientEvents,
  ClientState,
  ConnectOptions,
  HistoryOptions,
  HistoryPage,
  Members,
  Message,
  Published,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from "./types.ts";

export type {
  ClientEvents,
  ClientState,
  ConnectOptions,
  Gap,
  GapReason,
  HistoryMessage,
  HistoryOptions,
  HistoryPage,
  Member,
  Members,
  Message,
  MessageMeta,
  PresenceChange,
  Published,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  SubscribeResult,
  Subscription,
  SubscriptionEvents,
  WebSocketConstructor,
  WebSocketLike,
} from "./types.ts";
export type { Position } from "../core/position.ts";
export type { TagOutcome } from "./publisher.ts";
export { Raw } from "../wire/messages.ts";
export { TagcastError, type Failure } from "./errors.ts";

/** Returns at once and connects in the background, again and again; `ready()` and the `state` event tell how it goes. */
export function connect(url: string | URL, options: ConnectOptions = {}): Client {
  return new Client(String(url), options);
}

/** Made by `connect`. Everything that can wait for a connection does: nothing here has to be called in a certain state. */
export class Client {
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #connection: Connection;
  readonly #subscriptions: Subscriptions;
  readonly #publisher: Publisher;
  readonly #replies: Replies;
  readonly #closed = Promise.withResolvers<TagcastError | null>();
  #session: string | null = null;

  constructor(url: string, options: ConnectOptions) {
    this.#connection = new Connection(url, options, {
      state: (state) => this.#enter(state),
      active: (link, result) => this.#start(link, result),
      lost: () => this.#lost(),
      message: (message) => this.#route(message),
      error: (error) => this.#emitter.emit("error", error),
    });
    const connection = this.#connection;
    const { echo, queueMaxMessages, queueMaxBytes } = options;
    const ownTags = new OwnTags(echo ?? true);
    this.#subscriptions = new Subscriptions(connection, ownTags, (gap) => this.#emitter.emit("gap", gap));
    this.#publisher = new Publisher({ connection, ownTags, queueMaxMessages, queueMaxBytes });
    this.#replies = new Replies(connection, ownTags);
    connection.start();
  }

  get state(): ClientState {
    return this.#connection.state;
  }

  /** The session's name at the server, as logs show it; null before the first connection. */
  get session(): string | null {
    return this.#session;
  }

  /** Publishes that wait for their acknowledgement. */
  get unacknowledged(): number {
    return this.#publisher.waiting;
  }

  /** Settles when the client is closed for good: null by `close()`, else why. Never rejects. */
  get closed(): Promise<TagcastError | null> {
    return this.#closed.promise;
  }

  /** Registers a listener; the returned function removes it. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  /** Resolves when the client is connected. Rejects with a `TagcastError` when it is closed before. */
  async ready(): Promise<void> {
    await this.#connection.ready();
  }

  /**
   * Subscribes to a tag or pattern, now and after every reconnect. Messages go to `onMessage`, or without it to the async
   * iterator of the subscription. With history every message comes once and in order, or a `gap` event says what does not.
   * @throws TagcastError `invalid` where this client is subscribed to the pattern already, `closed` where it is closed
   */
  subscribe<T = unknown>(
    pattern: string,
    options?: SubscribeOptions,
    onMessage?: (message: Message<T>) => void,
  ): Subscription<T>;
  subscribe<T = unknown>(pattern: string, onMessage: (message: Message<T>) => void): Subscription<T>;
  subscribe<T>(
    pattern: string,
    options: SubscribeOptions | ((message: Message<T>) => void) = {},
    onMessage?: (message: Message<T>) => void,
  ): Subscription<T> {
    if (this.state === "closed") throw this.#connection.failure;
    if (typeof options === "function") return this.#subscriptions.add(pattern, {}, options);
    return this.#subscriptions.add(pattern, options, onMessage);
  }

  /**
   * Publishes to one tag, or to several (at most 16) at once. Resolves when the server has acknowledged it, which may be
   * after reconnects: until then it is sent again with the same id, so that with history it is published once.
   * Rejects with a `TagcastError`; `queue-full` where too much is waiting. Several tags answer by tag.
   */
  publish(tag: string, payload: unknown, options?: PublishOptions): Promise<Published>;
  publish(
    tags: readonly string[],
    payload: unknown,
    options?: PublishOptions,
  ): Promise<ReadonlyMap<string, TagOutcome>>;
  publish(
    tags: string | readonly string[],
    payload: unknown,
    options: PublishOptions = {},
  ): Promise<Published | ReadonlyMap<string, TagOutcome>> {
    return this.#publisher.publish(tags, payload, options);
  }

  /** One page of a tag's log. Rejects with a `TagcastError`. */
  history<T = unknown>(tag: string, options: HistoryOptions = {}): Promise<HistoryPage<T>> {
    return history(this.#connection, tag, options) as Promise<HistoryPage<T>>;
  }

  /** All pages of a tag's log from `options` on. */
  historyPages<T = unknown>(
    tag: string,
    options: HistoryOptions = {},
  ): AsyncGenerator<HistoryPage<T>, void, undefined> {
    return historyPages(this.#connection, tag, options) as AsyncGenerator<HistoryPage<T>, void, undefined>;
  }

  /** Who is subscribed to a tag with presence. Rejects with a `TagcastError`. */
  presence(tag: string): Promise<Members> {
    return repeated(this.#connection, async (link) => {
      const members = asPresence(await link.call(op.presence, tag));
      if (members === null) throw new TagcastError("refused", "The server's answer has no members");
      return members;
    });
  }

  /**
   * Publishes with a private reply tag and resolves with the first answer. Sent once: rejects with a `TagcastError`
   * where no answer comes in time (`timeout`) or the connection is lost (`disconnected`).
   */
  request<T = unknown>(tag: string, payload: unknown, options: RequestOptions = {}): Promise<Message<T>> {
    return this.#replies.request(tag, payload, options) as Promise<Message<T>>;
  }

  /** Answers a message that came by `request`. Rejects as `publish` does. */
  reply(message: Message, payload: unknown): Promise<Published> {
    const reply = message.meta?.reply;
    if (typeof reply !== "string") return Promise.reject(new TagcastError("invalid", "The message asks for no answer"));
    return this.publish(reply, payload);
  }

  /** Resolves when everything sent before has reached the server. Rejects with a `TagcastError` when the client is closed. */
  async flush(): Promise<void> {
    await repeated(this.#connection, (link) => link.call(op.ping));
  }

  /** Ends the connection, all subscriptions, and whatever waits; sent before that is what has been published. */
  close(): void {
    this.#connection.close(null);
  }

  /** Subscriptions first, in one frame: answers to what is published next must not be missed. */
  #start(link: Link, result: Fields): void {
    this.#session = asText(result["session"]);
    this.#replies.start(asText(result["reply"]));
    this.#subscriptions.start();
    if (link.alive) this.#publisher.start(asNumber(result["payloadMax"]));
  }

  #lost(): void {
    this.#subscriptions.lost();
    this.#publisher.lost();
    this.#replies.lost(
      new TagcastError("disconnected", "The connection was lost before an answer came", { retry: true }),
    );
  }

  #enter(state: ClientState): void {
    if (state === "closed") {
      const { reason, failure } = this.#connection;
      this.#subscriptions.end(reason);
      this.#publisher.end(failure);
      this.#closed.resolve(reason);
    }
    this.#emitter.emit("state", state);
  }

  #route(message: readonly unknown[]): void {
    switch (message[0]) {
      case op.message: {
        const unclaimed = this.#subscriptions.message(message);
        if (unclaimed) this.#replies.message(unclaimed);
        break;
      }
      case op.presenceChange:
        return this.#subscriptions.presence(message);
      case op.gap:
        return this.#subscriptions.gap(message);
      case op.unsubscribed:
        return this.#subscriptions.unsubscribed(message);
      case op.error:
        if (message[2] === errors.slowed.code) this.#publisher.slowDown();
        return this.#emitter.emit("error", refused(asNumber(message[2]) ?? 0, asText(message[3]) ?? ""));
      default:
      // A newer server may send what this version does not know.
    }
  }
}
