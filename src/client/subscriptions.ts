/** All subscriptions of a client, by pattern: keeps them over reconnects and hands on what the server pushes. */
import type { Connection } from "./connection.ts";
import { TagcastError } from "./errors.ts";
import { asEpoch, asFields, asMeta, asNumber, asOffset, asText } from "./inbound.ts";
import type { OwnTags } from "./own-tags.ts";
import { Subscriber } from "./subscriber.ts";
import type { Gap, Message, SubscribeOptions } from "./types.ts";

export class Subscriptions {
  readonly #connection: Connection;
  readonly #gap: (gap: Gap) => void;
  readonly #ownTags: OwnTags;
  readonly #subscribers = new Map<string, Subscriber>();

  constructor(connection: Connection, ownTags: OwnTags, gap: (gap: Gap) => void) {
    this.#connection = connection;
    this.#ownTags = ownTags;
    this.#gap = gap;
  }

  /** @throws TagcastError `invalid` where the pattern is subscribed to already: the server knows each once per connection */
  add<T>(
    pattern: string,
    options: SubscribeOptions,
    onMessage: ((message: Message<T>) => void) | undefined,
  ): Subscriber<T> {
    if (this.#subscribers.has(pattern)) throw new TagcastError("invalid", `Already subscribed to "${pattern}"`);
    const subscriber = new Subscriber<T>({
      connection: this.#connection,
      ownTags: this.#ownTags,
      pattern,
      options,
      onMessage,
      gap: this.#gap,
      ended: () => void this.#subscribers.delete(pattern),
    });
    this.#subscribers.set(pattern, subscriber as unknown as Subscriber);
    subscriber.start();
    return subscriber;
  }

  /** There is a connection: asks for all of them at once. */
  start(): void {
    for (const subscriber of this.#subscribers.values()) subscriber.start();
  }

  lost(): void {
    for (const subscriber of this.#subscribers.values()) subscriber.lost();
  }

  end(error: TagcastError | null): void {
    for (const subscriber of [...this.#subscribers.values()]) subscriber.end(error);
  }

  /** Op 18: `[18, tag, offset, payload, meta?, pattern?, epoch?]`. Returns it where no subscription wants it. */
  message(parts: readonly unknown[]): Message | null {
    const [, tag, place, payload, meta, through, age] = parts;
    if (typeof tag !== "string") return null;
    const offset = asOffset(place);
    const epoch = asEpoch(age);
    const pattern = asText(through);
    const position = epoch !== null && offset !== null ? { epoch, offset } : null;
    const message: Message = { tag, payload, offset, position, meta: asMeta(meta), pattern };
    const subscriber = this.#subscribers.get(pattern ?? tag);
    if (subscriber === undefined) return message;
    subscriber.receive(message);
    return null;
  }

  /** Op 19: `[19, tag, …]`. */
  presence(parts: readonly unknown[]): void {
    this.#subscribers.get(String(parts[1]))?.change(parts);
  }

  /** Op 20: `[20, tag or pattern, from, to, detail]`. One through wildcards names its pattern in `detail`, or instead of a tag. */
  gap(parts: readonly unknown[]): void {
    const name = String(parts[1]);
    const pattern = asText(asFields(parts[4])["pattern"]) ?? name;
    this.#subscribers.get(pattern)?.told(name, parts);
  }

  /** Op 21: `[21, pattern, code, text]`. */
  unsubscribed([, pattern, code, text]: readonly unknown[]): void {
    this.#subscribers.get(String(pattern))?.unsubscribed(asNumber(code) ?? 0, asText(text) ?? "");
  }
}
