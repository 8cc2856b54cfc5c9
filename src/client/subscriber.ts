/** One subscription over its whole life: asks, takes messages, asks again after a loss, and ends once. */
import { errors } from "../core/codes.ts";
import type { Position } from "../core/position.ts";
import { hasWildcard } from "../core/tag.ts";
import type { Backoff } from "../lib/backoff.ts";
import { op } from "../wire/messages.ts";
import { encodeMessage } from "./codec.ts";
import type { Connection } from "./connection.ts";
import { Delivery } from "./delivery.ts";
import { TagcastError } from "./errors.ts";
import { Emitter } from "./events.ts";
import { Filler } from "./filler.ts";
import { readPage } from "./history.ts";
import { asFields, asNumber, asPosition, asPresence, type Fields } from "./inbound.ts";
import type { Link } from "./link.ts";
import type { OwnTags } from "./own-tags.ts";
import { Positions } from "./positions.ts";
import { Presence } from "./presence.ts";
import { settlePattern, settleTag, sinceOption, type Asked, type Hole } from "./settle-subscribe.ts";
import type { Timer } from "./timers.ts";
import type {
  Gap,
  Members,
  Message,
  SubscribeOptions,
  SubscribeResult,
  Subscription,
  SubscriptionEvents,
} from "./types.ts";

/** The server tells what is missing right after its answer; later than this we do. */
const toldWithinMs = 1_000;

export interface SubscriberOptions<T> {
  readonly connection: Connection;
  readonly ownTags: OwnTags;
  readonly pattern: string;
  readonly options: SubscribeOptions;
  readonly onMessage: ((message: Message<T>) => void) | undefined;
  readonly gap: (gap: Gap) => void;
  /** It is over. */
  readonly ended: () => void;
}

/** `idle`: waits for a connection or for its turn; `asked`: op 2 is on its way; `paused`: the reader is too slow. */
type State = "idle" | "asked" | "active" | "paused" | "ended";

export class Subscriber<T = unknown> implements Subscription<T> {
  readonly pattern: string;
  readonly ready: Promise<SubscribeResult>;
  readonly ended: Promise<TagcastError | null>;
  readonly #options: SubscriberOptions<T>;
  readonly #wild: boolean;
  readonly #emitter = new Emitter<SubscriptionEvents>();
  readonly #positions: Positions;
  readonly #delivery: Delivery<T>;
  readonly #presence: Presence | null;
  readonly #backoff: Backoff;
  readonly #settled = Promise.withResolvers<SubscribeResult>();
  readonly #over = Promise.withResolvers<TagcastError | null>();
  #state: State = "idle";
  #filler: Filler | null = null;
  #timer: Timer | null = null;
  /** Not subscribed successfully yet. */
  #fresh = true;
  #denied = false;
  #live = false;
  #overflowing = false;

  constructor(options: SubscriberOptions<T>) {
    const { pattern, onMessage, connection, ownTags } = options;
    const { since, presence, bufferMax } = options.options;
    this.pattern = pattern;
    this.#options = options;
    this.#wild = hasWildcard(pattern);
    this.#positions = new Positions(pattern, (gap) => this.#gap(gap), ownTags);
    this.#delivery = new Delivery<T>({
      onMessage,
      bufferMax,
      drained: () => this.#resume(),
      left: () => void this.unsubscribe(),
    });
    this.#presence = presence ? new Presence(pattern) : null;
    this.#backoff = connection.createBackoff();
    this.ready = this.#settled.promise;
    this.ended = this.#over.promise;
    // Who does not look at `ready` looks at `ended`.
    this.ready.catch(() => {});
    if (since instanceof Map) for (const [tag, position] of since) this.#positions.set(tag, position);
    else if (since) this.#positions.set(pattern, since as Position);
    this.#positions.complete = since instanceof Map;
  }

  get position(): Position | null {
    return this.#wild ? null : this.#positions.get(this.pattern);
  }

  get positions(): ReadonlyMap<string, Position> {
    return new Map([...this.#positions.tags()].map((tag) => [tag, this.#positions.get(tag) as Position]));
  }

  get presence(): Members | null {
    return this.#presence?.members ?? null;
  }

  on<Name extends keyof SubscriptionEvents>(
    name: Name,
    listener: (event: SubscriptionEvents[Name]) => void,
  ): () => void {
    return this.#emitter.on(name, listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<Message<T>, undefined> {
    return this.#delivery.iterator();
  }

  async unsubscribe(): Promise<void> {
    const link = this.#options.connection.active;
    const known = this.#state === "asked" || this.#state === "active";
    this.end(null);
    // That there is nothing to unsubscribe from, or no connection any more, is as good.
    if (link && known) await link.call(op.unsubscribe, this.pattern).catch(() => {});
  }

  /** Asks the server, if there is a connection and it has not been asked yet. */
  start(): void {
    const link = this.#options.connection.active;
    if (link === null || this.#state !== "idle") return;
    this.#timer?.cancel();
    this.#state = "asked";
    const { presence, info, last } = this.#options.options;
    const since = this.#denied ? null : sinceOption(this.#positions, this.pattern, this.#wild);
    const newest = this.#fresh && since === null ? last : undefined;
    const asked = {
      pattern: this.pattern,
      since: since?.tags ?? null,
      fresh: this.#fresh && since === null,
      denied: this.#denied,
      live: this.#live,
    };
    const options = { since: since?.wire, last: newest, presence, info };
    const current = () => this.#state === "asked" && this.#options.connection.active === link;
    link.request((ref) => encodeMessage(op.subscribe, ref, this.pattern, options), {
      done: (result) => current() && this.#subscribed(link, asked, result),
      failed: (error) => current() && this.#refused(asked, error),
    });
  }

  /** The connection is gone. */
  lost(): void {
    this.#timer?.cancel();
    this.#filler?.stop();
    this.#filler = null;
    if (this.#state === "asked" || this.#state === "active") this.#state = "idle";
  }

  /** Op 18. */
  receive(message: Message<T>): void {
    if (this.#state !== "active") return;
    const { tag, offset } = message;
    if (offset === null) {
      this.#live = true;
      return this.#deliver(message);
    }
    if (this.#filler?.holds(message)) return;
    // Taken and dropped, it would be missing; left in the log, it is recovered when the reader has caught up.
    if (this.#delivery.full && !this.#denied) return this.#pause();
    if (!this.#positions.admit(tag, offset, message.position?.epoch ?? null)) return;
    const epoch = this.#positions.get(tag)?.epoch;
    this.#deliver(message.position || epoch === undefined ? message : { ...message, position: { epoch, offset } });
  }

  /** Op 19. */
  change(message: readonly unknown[]): void {
    const change = this.#state === "active" ? this.#presence?.change(message) : null;
    if (change) this.#emitter.emit("presence", change);
  }

  /** Op 20, for this pattern or for a tag that it matches. */
  told(name: string, message: readonly unknown[]): void {
    if (this.#state !== "active") return;
    const [, , from, to, detail] = message;
    const { code, count, epoch } = asFields(detail);
    const gap = {
      from: asNumber(from),
      to: asNumber(to),
      code: asNumber(code),
      count: asNumber(count),
      epoch: asNumber(epoch),
    };
    if (!this.#filler?.readsAgain(name)) this.#positions.told(name, gap);
    this.#positions.raise("told", name, gap);
  }

  /** Op 21: the range of the code says whether to subscribe again. */
  unsubscribed(code: number, text: string): void {
    if (this.#state !== "active" && this.#state !== "asked") return;
    if (code < 2500) return this.end(new TagcastError("unsubscribed", text, { code }));
    this.lost();
    this.#retry();
  }

  /** Ends it for good; `error` null: the application wanted it. */
  end(error: TagcastError | null): void {
    if (this.#state === "ended") return;
    this.lost();
    this.#state = "ended";
    this.#settled.reject(error ?? new TagcastError("closed", `The subscription to "${this.pattern}" has ended`));
    this.#over.resolve(error);
    this.#delivery.finish(error);
    this.#options.ended();
  }

  #subscribed(link: Link, asked: Asked, result: Fields): void {
    const again = !this.#fresh;
    this.#state = "active";
    this.#fresh = false;
    this.#backoff.reset();
    const members = asPresence(result["presence"]);
    const change = members && this.#presence?.reset(members);
    const holes = this.#wild ? settlePattern(this.#positions, asked, result) : [];
    if (!this.#wild) settleTag(this.#positions, asked, result);
    const { timers } = this.#options.connection;
    if (this.#positions.untold) this.#timer = timers.after(toldWithinMs, () => this.#positions.tellMissed());
    if (holes.length > 0 && this.#state === "active") this.#fill(link, holes);
    const { recovered } = result;
    const summary: SubscribeResult = {
      position: asPosition(result["position"]),
      recovered: typeof recovered === "boolean" ? recovered : null,
      presence: members,
    };
    this.#settled.resolve(summary);
    this.#emitter.emit("active", summary);
    // Who follows the changes alone has the list right after a reconnect too.
    if (again && change) this.#emitter.emit("presence", change);
  }

  #refused(asked: Asked, error: TagcastError): void {
    this.#state = "idle";
    if (error.kind === "disconnected") return;
    if (error.code === errors.denied.code && asked.since && !this.#fresh) {
      this.#denied = true;
      this.start();
    } else if (error.retry) this.#retry();
    else this.end(error);
  }

  #retry(): void {
    this.#timer = this.#options.connection.timers.after(this.#backoff.nextMs(), () => this.start());
  }

  #fill(link: Link, holes: readonly Hole[]): void {
    const { connection } = this.#options;
    this.#filler = new Filler({
      positions: this.#positions,
      timers: connection.timers,
      backoff: connection.createBackoff(),
      read: (tag, since, limit) => readPage(link, tag, { since, limit }),
      deliver: (message) => this.#delivery.push({ ...(message as Message<T>), pattern: this.pattern }),
      room: () => this.#delivery.room(),
    });
    this.#filler.start(holes);
  }

  #deliver(message: Message<T>): void {
    const { tag, offset } = message;
    if (this.#delivery.full) {
      // A run of live messages is told once: they have no offsets to tell them apart.
      if (offset !== null || !this.#overflowing) this.#positions.raise("overflow", tag, { from: offset, to: offset });
      this.#overflowing = true;
      return;
    }
    this.#overflowing = false;
    this.#delivery.push(message);
  }

  #pause(): void {
    const link = this.#options.connection.active;
    this.lost();
    this.#state = "paused";
    void link?.call(op.unsubscribe, this.pattern).catch(() => {});
  }

  #resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "idle";
    this.start();
  }

  #gap(gap: Gap): void {
    this.#emitter.emit("gap", gap);
    this.#options.gap(gap);
  }
}
