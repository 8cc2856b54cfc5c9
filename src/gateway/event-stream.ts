/**
 * One event stream: a connection that only listens, served by the hub from JavaScript throughout. What waits for its
 * client is bounded by the hub, which looks at `bufferedBytes` before it sends anything.
 */
import type { DisconnectCode, ErrorCode, UnsubscribeCode } from "../core/codes.ts";
import { disconnects, errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { Deliveries, Requester } from "../hub/subscriber.ts";
import type { Timer } from "../lib/clock.ts";
import type { Listener } from "../session/connected.ts";
import type { Registry } from "../session/registry.ts";
import { op, type ResultValue } from "../wire/messages.ts";
import { renderValue } from "../wire/write-json.ts";
import { EventFrames, EventText, heartbeatText } from "./event-frames.ts";
import { type Continuation, eventIdLimits } from "./event-ids.ts";

/** Bytes below which the stream asks for more: well below the mark at which the hub stops sending. */
const highWaterBytes = 256 * 1024;
/** How long a client may take to read what is in the way of the end. */
const cutOffAfterMs = 5000;
/** Clients come back after this long, and as much again by chance, unless told otherwise. */
const retryMs = 1500;

/** Who reads a stream. */
export interface Reader {
  readonly remoteAddress: string;
  readonly origin: string | null;
  /** From now on it loses its connection where it takes nothing for a few seconds; until then it may be silent for ever. */
  hurry(): void;
  /** Nothing more is read. May be called before `open` returns. */
  gone(): void;
}

/** What a stream is asked for. */
export interface EventsRequest {
  /** Distinct. */
  readonly patterns: readonly string[];
  /** The newest messages of each log, where there is nothing to continue from. */
  readonly last: number | null;
  /** Null: the stream starts now. */
  readonly continuation: Continuation | null;
  /** Those whose positions ids name. */
  readonly continuable: ReadonlySet<string>;
}

/** `opening`: the hub is being asked · `open` · `ending`: what is in the way of the end is being read · `closed`. */
type State = "opening" | "open" | "ending" | "closed";

export class EventStream implements Listener, Requester {
  readonly transport = "sse";
  readonly counted = true;
  readonly lane = "json";
  readonly native = null;
  readonly replyPrefix = null;
  readonly identified = true;
  readonly id: string = crypto.randomUUID();
  readonly client: string;
  readonly generation: number;
  readonly openedAtMs: number;
  readonly remoteAddress: string;
  readonly origin: string | null;
  readonly frames: Deliveries;
  identity: Identity;
  readonly #registry: Registry;
  readonly #reader: Reader;
  readonly #request: EventsRequest;
  readonly #text: EventText;
  readonly #deliveries: ReadonlyMap<string, Deliveries>;
  readonly #opened = Promise.withResolvers<ReadableStream<Uint8Array>>();
  readonly #body: ReadableStream<Uint8Array>;
  readonly #results = new Map<string, ResultValue>();
  readonly #subscribed: Set<string>;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #state: State = "opening";
  #unanswered: number;
  #flushing = false;
  /** Whether so much is buffered that the hub is to be told once it is not. */
  #full = false;
  #writtenAtMs = 0;
  #cutOff: Timer | null = null;

  constructor(registry: Registry, identity: Identity, request: EventsRequest, reader: Reader) {
    const text = new EventText(request.patterns);
    const frames = (pattern: string) => new EventFrames(text, pattern, request.continuable.has(pattern));
    this.#registry = registry;
    this.#reader = reader;
    this.#request = request;
    this.#text = text;
    this.#deliveries = new Map(request.patterns.map((pattern) => [pattern, frames(pattern)]));
    this.#subscribed = new Set(request.patterns);
    this.#unanswered = request.patterns.length;
    this.#body = this.#createBody();
    this.identity = identity;
    this.remoteAddress = reader.remoteAddress;
    this.origin = reader.origin;
    this.client = identity.client ?? this.id;
    this.generation = registry.nextGeneration();
    this.openedAtMs = registry.clock.monotonicMs();
    this.frames = frames("");
  }

  get active(): boolean {
    return this.#state === "open";
  }

  get closing(): boolean {
    return this.#state === "ending" || this.#state === "closed";
  }

  /** Subscribes; the body of the answer once the hub has answered. @throws (rejects with) ProtocolError, closed then */
  open(): Promise<ReadableStream<Uint8Array>> {
    this.#registry.join(this);
    for (const [index, pattern] of this.#request.patterns.entries()) {
      try {
        this.#subscribe(index, pattern);
      } catch (error) {
        if (!(error instanceof ProtocolError))
          this.#registry.log.error("event stream failed", { stream: this.id, error });
        this.#fail(error instanceof ProtocolError ? error : new ProtocolError(errors.internal), pattern);
      }
      if (this.closing) break;
    }
    return this.#opened.promise;
  }

  #subscribe(ref: number, pattern: string): void {
    const { last, continuation } = this.#request;
    const since = continuation?.get(pattern) ?? null;
    this.#registry.hub.subscribe(
      this,
      {
        op: op.subscribe,
        ref,
        pattern,
        since,
        last: since === null ? last : null,
        presence: false,
        info: null,
        sinceNamesAll: since instanceof Map,
      },
      this,
    );
  }

  deliveriesOf(pattern: string): Deliveries {
    return this.#deliveries.get(pattern) ?? this.frames;
  }

  answered(ref: number, result: ResultValue): void {
    this.#results.set(this.#request.patterns[ref] as string, result);
    this.#unanswered--;
    this.flushLater();
  }

  refused(ref: number, code: ErrorCode, text?: string): void {
    this.#fail(new ProtocolError(code, text), this.#request.patterns[ref]);
  }

  unsubscribed(pattern: string, code: UnsubscribeCode): void {
    this.frames.unsubscribed(pattern, code.code, code.text);
    this.flushLater();
    this.#subscribed.delete(pattern);
    if (this.#subscribed.size === 0) this.end(disconnects.revoked);
  }

  bufferedBytes(): number {
    return highWaterBytes - (this.#controller?.desiredSize ?? highWaterBytes);
  }

  flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#registry.hub.flushLater(this);
  }

  flush(): void {
    this.#flushing = false;
    if (this.closing) return;
    if (this.#state === "opening") {
      if (this.#unanswered > 0) return;
      this.#begin();
    }
    if (this.#text.overflowed) this.end(disconnects.tooManyTags);
    else this.#write(this.#text.take());
  }

  heartbeat(nowMs: number): void {
    const intervalMs = this.#registry.options.pingSeconds * 1000;
    if (this.bufferedBytes() === 0 && nowMs - this.#writtenAtMs >= intervalMs) this.#write(heartbeatText);
  }

  tooSlow(): void {
    this.end(disconnects.slow);
  }

  end(code: DisconnectCode, retryAfterMs = 0): void {
    if (this.closing) return;
    const { log, hub, clock } = this.#registry;
    if (this.#state === "opening") return this.#fail(new ProtocolError(errors.unavailable, code.text));
    log.info("event stream ended", { stream: this.id, code: code.code, reason: code.name, from: this.remoteAddress });
    this.#registry.countEnd(code);
    this.#state = "ending";
    this.#reader.hurry();
    hub.detach(this);
    this.#cutOff = clock.after(cutOffAfterMs, () => {
      this.#controller?.error(new Error("cut off"));
      this.closed();
    });
    this.#text.farewell(code.code, code.text, retryAfterMs);
    this.#write(this.#text.take());
    this.#drained();
  }

  /** Nobody reads any more. */
  closed(): void {
    if (this.#state === "closed") return;
    const { log, hub } = this.#registry;
    if (this.#state === "open") log.info("event stream closed", { stream: this.id, client: this.client });
    if (this.#state === "opening") this.#opened.reject(new ProtocolError(errors.unavailable, "The client has gone"));
    this.#state = "closed";
    this.#cutOff?.cancel();
    this.#registry.remove(this);
    this.#reader.gone();
    hub.connections.release(this.identity);
    hub.detach(this);
  }

  #createBody(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#drained(),
        cancel: () => this.closed(),
      },
      { highWaterMark: highWaterBytes, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  }

  /** The hub has answered everything. */
  #begin(): void {
    const { log } = this.#registry;
    const { app, subject, tokenId } = this.identity;
    const subscriptions = renderValue(this.#results);
    const first = `{"session":"${this.id}","client":${JSON.stringify(this.client)},"subscriptions":${subscriptions}}`;
    this.#text.begin("subscribed", first, Math.round(retryMs * (1 + Math.random())));
    if (this.#text.overflowed || this.#text.positions.count > eventIdLimits.tagsMax) return this.#fail(tooManyTags());
    this.#state = "open";
    const from = this.remoteAddress;
    log.info("event stream opened", { stream: this.id, client: this.client, app, subject, tokenId, from });
    this.#opened.resolve(this.#body);
  }

  /** The stream cannot be opened. */
  #fail(error: ProtocolError, pattern?: string): void {
    if (this.#state !== "opening") return;
    this.#opened.reject(
      pattern === undefined ? error : new ProtocolError(error.code, `${error.message}: ${pattern}`, { cause: error }),
    );
    this.closed();
  }

  #write(text: string): void {
    if (text === "" || this.#state === "closed") return;
    const bytes = Buffer.from(text);
    const { json: traffic } = this.#registry.traffic.sse;
    traffic.bytesOut += bytes.length;
    traffic.messagesOut += this.#text.messages;
    this.#text.messages = 0;
    this.#controller?.enqueue(bytes);
    this.#writtenAtMs = this.#registry.nowMs;
    if (this.bufferedBytes() >= highWaterBytes) this.#full = true;
  }

  /** The client took some of what was buffered. */
  #drained(): void {
    if (this.#state === "ending" && this.bufferedBytes() === 0) return this.#finish();
    if (!this.#full || this.bufferedBytes() >= highWaterBytes) return;
    this.#full = false;
    this.#registry.hub.drained(this);
  }

  #finish(): void {
    this.#controller?.close();
    this.closed();
  }
}

function tooManyTags(): ProtocolError {
  const { tagsMax, lengthMax } = eventIdLimits;
  return new ProtocolError(
    errors.limitExceeded,
    `These are more than ${tagsMax} tags with a log, or more than ${lengthMax} characters name: ask for fewer, or with recover=false`,
  );
}
