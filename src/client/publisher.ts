/**
 * Publishes, and keeps what is not acknowledged: over reconnects and refusals that a retry can help, with the same id, so
 * that the server takes each once. Bounded by messages and bytes. Everything that is sent again keeps its order.
 */
import type { Backoff } from "../lib/backoff.ts";
import { errors } from "../core/codes.ts";
import { encodePayload, encodePublish, encodePublishBody, type PublishBody } from "./codec.ts";
import type { Connection } from "./connection.ts";
import { isRetryable, refused, TagcastError } from "./errors.ts";
import { asList, asNumber, asPosition, type Fields } from "./inbound.ts";
import type { Link } from "./link.ts";
import type { OwnTags } from "./own-tags.ts";
import type { Timer } from "./timers.ts";
import type { Published, PublishOptions } from "./types.ts";

const queueMaxMessagesDefault = 10_000;
const queueMaxBytesDefault = 8 * 1024 * 1024;
/** An internal error of the server may lie in the message itself: it must not hold up the others for ever. */
const internalErrorsMax = 5;
/** How soon to look again whether the socket takes more. */
const congestedMs = 20;

/** How long nothing is published after the server said that it is too fast. */
const slowedMs = 1000;

/** What a publish to several tags answers for one of them. */
export type TagOutcome = Published | TagcastError;

interface Entry {
  /** Several tags shrink to those that are to be tried again. */
  tags: string | readonly string[];
  body: PublishBody;
  readonly encode: (tags: string | readonly string[]) => PublishBody;
  readonly ack: boolean;
  /** By tag, of those that are settled; unused for a single tag. */
  readonly outcomes: Map<string, TagOutcome>;
  readonly resolve: (outcome: Published | ReadonlyMap<string, TagOutcome>) => void;
  readonly reject: (error: TagcastError) => void;
  /** Null: waits to be sent. */
  sentOn: Link | null;
  internalErrors: number;
}

export interface PublisherOptions {
  readonly connection: Connection;
  readonly ownTags: OwnTags;
  readonly queueMaxMessages: number | undefined;
  readonly queueMaxBytes: number | undefined;
}

export class Publisher {
  readonly #connection: Connection;
  readonly #ownTags: OwnTags;
  readonly #queueMaxMessages: number;
  readonly #queueMaxBytes: number;
  readonly #backoff: Backoff;
  /** Everything unacknowledged, in the order of the calls. */
  readonly #entries = new Set<Entry>();
  readonly #idPrefix = randomId();
  #bytes = 0;
  #count = 0;
  #payloadMaxBytes = Infinity;
  /** While it runs nothing is sent, so that a refused publish is not overtaken. */
  #hold: Timer | null = null;

  constructor({ connection, ownTags, queueMaxMessages, queueMaxBytes }: PublisherOptions) {
    this.#connection = connection;
    this.#ownTags = ownTags;
    this.#queueMaxMessages = queueMaxMessages ?? queueMaxMessagesDefault;
    this.#queueMaxBytes = queueMaxBytes ?? queueMaxBytesDefault;
    this.#backoff = connection.createBackoff();
  }

  /** Publishes that are not acknowledged yet. */
  get waiting(): number {
    return this.#entries.size;
  }

  /** Resolves with the answer for one tag, or with the answers by tag for several. Rejects with a `TagcastError`, or with what the encoder throws. */
  publish(
    tags: string | readonly string[],
    payload: unknown,
    options: PublishOptions,
  ): Promise<Published | ReadonlyMap<string, TagOutcome>> {
    const { ack = true, echo, reply } = options;
    const id = options.id ?? (ack ? `${this.#idPrefix}${(this.#count++).toString(36)}` : undefined);
    return new Promise((resolve, reject) => {
      // Encoded at once: what the caller changes afterwards is not published.
      const bytes = encodePayload(payload);
      const encode = (to: string | readonly string[]) => encodePublishBody(to, bytes, { id, echo, reply });
      const body = encode(tags);
      this.#ownTags.note(tags, echo);
      const outcomes = new Map<string, TagOutcome>();
      this.#add({ tags, body, encode, ack, outcomes, resolve, reject, sentOn: null, internalErrors: 0 });
    });
  }

  /** There is a connection: sends everything unacknowledged, first what was published first. */
  start(payloadMaxBytes: number | null): void {
    this.#payloadMaxBytes = payloadMaxBytes ?? Infinity;
    this.#release();
  }

  /** The server reads no more from this client for now: nothing is sent for a while. */
  slowDown(): void {
    this.#hold?.cancel();
    this.#hold = null;
    this.#holdFor(slowedMs);
  }

  /** The link has failed what it did not answer. */
  lost(): void {
    this.#hold?.cancel();
    this.#hold = null;
  }

  end(error: TagcastError): void {
    this.lost();
    for (const entry of [...this.#entries]) this.#settle(entry, () => entry.reject(error));
  }

  #add(entry: Entry): void {
    if (this.#connection.state === "closed") return entry.reject(this.#connection.failure);
    const { length } = entry.body.bytes;
    const full = this.#entries.size >= this.#queueMaxMessages || this.#bytes + length > this.#queueMaxBytes;
    if (full && this.#entries.size > 0) {
      const text = `${this.#entries.size} publishes wait for their acknowledgement`;
      return entry.reject(new TagcastError("queue-full", text, { retry: true }));
    }
    this.#entries.add(entry);
    this.#bytes += length;
    if (this.#hold === null) this.#sendFrom([entry]);
  }

  #release(): void {
    this.#hold?.cancel();
    this.#hold = null;
    this.#sendFrom(this.#entries);
  }

  #sendFrom(entries: Iterable<Entry>): void {
    const link = this.#connection.active;
    if (link === null) return;
    for (const entry of entries) {
      if (entry.sentOn !== null) continue;
      if (link.congested) return this.#holdFor(congestedMs);
      this.#send(link, entry);
    }
  }

  #holdFor(delayMs: number): void {
    this.#hold ??= this.#connection.timers.after(delayMs, () => this.#release());
  }

  #send(link: Link, entry: Entry): void {
    // A frame beyond the server's bound would cost the connection, again and again.
    if (entry.body.payloadBytes > this.#payloadMaxBytes) {
      const { code, text } = errors.payloadTooLarge;
      return this.#settle(entry, () => entry.reject(refused(code, text)));
    }
    entry.sentOn = link;
    if (!entry.ack) {
      link.send(encodePublish(0, entry.body));
      return this.#settle(entry, () => entry.resolve({ position: null, repeated: false }));
    }
    link.request((ref) => encodePublish(ref, entry.body), {
      done: (result) => entry.sentOn === link && this.#done(entry, result),
      failed: (error) => entry.sentOn === link && this.#failed(entry, error),
    });
  }

  #done(entry: Entry, result: Fields): void {
    this.#backoff.reset();
    const { tags } = entry;
    if (typeof tags === "string") {
      const published = { position: asPosition(result["position"]), repeated: result["repeated"] === true };
      return this.#settle(entry, () => entry.resolve(published));
    }
    const answers = asList(result["results"]);
    const again: string[] = [];
    tags.forEach((tag, i) => {
      const code = asNumber(answers[i]);
      if (code !== null && isRetryable(code)) again.push(tag);
      entry.outcomes.set(tag, code === null ? { position: asPosition(answers[i]), repeated: false } : refusedAs(code));
    });
    const worst = again.length > 0 ? entry.outcomes.get(again[0] as string) : null;
    if (!(worst instanceof TagcastError)) return this.#settle(entry, () => entry.resolve(entry.outcomes));
    this.#narrow(entry, again);
    this.#retry(entry, worst, () => entry.resolve(entry.outcomes));
  }

  #failed(entry: Entry, error: TagcastError): void {
    // The next connection sends it again.
    if (error.kind === "disconnected") entry.sentOn = null;
    else if (error.retry) this.#retry(entry, error, () => entry.reject(error));
    else this.#settle(entry, () => entry.reject(error));
  }

  /** Those tags that have it already are left out: ids are per tag, but tags without a log do not know them. */
  #narrow(entry: Entry, tags: readonly string[]): void {
    const before = entry.body.bytes.length;
    entry.tags = tags;
    entry.body = entry.encode(tags);
    this.#bytes += entry.body.bytes.length - before;
  }

  #retry(entry: Entry, error: TagcastError, giveUp: () => void): void {
    if (error.code === errors.internal.code && ++entry.internalErrors >= internalErrorsMax)
      return this.#settle(entry, giveUp);
    entry.sentOn = null;
    if (this.#hold === null) this.#holdFor(this.#backoff.nextMs());
  }

  #settle(entry: Entry, settle: () => void): void {
    if (!this.#entries.delete(entry)) return;
    this.#bytes -= entry.body.bytes.length;
    settle();
  }
}

function refusedAs(code: number): TagcastError {
  const known = Object.values(errors).find((error) => error.code === code);
  return refused(code, known?.text ?? "");
}

/** Ten characters that no other client has, so that ids with a counter behind them stay below 32 bytes. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return `${[...bytes].map((byte) => (byte % 36).toString(36)).join("")}-`;
}
