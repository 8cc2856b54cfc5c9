/** Requests over the session's private reply tags: sent once, answered by whoever subscribes to the tag, or given up. */
import { op } from "../wire/messages.ts";
import { encodePayload, encodePublish, encodePublishBody } from "./codec.ts";
import type { Connection } from "./connection.ts";
import { asError, TagcastError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { OwnTags } from "./own-tags.ts";
import type { Message, RequestOptions } from "./types.ts";

const timeoutMsDefault = 10_000;

interface Waiting {
  readonly resolve: (message: Message) => void;
  readonly reject: (error: TagcastError) => void;
}

export class Replies {
  readonly #connection: Connection;
  readonly #ownTags: OwnTags;
  readonly #waiting = new Map<string, Waiting>();
  #prefix: string | null = null;
  /** The subscription to the reply tags of this session, made when it is first needed. */
  #subscribed: Promise<unknown> | null = null;
  #count = 0;

  constructor(connection: Connection, ownTags: OwnTags) {
    this.#connection = connection;
    this.#ownTags = ownTags;
  }

  /** A new session, with reply tags of its own. */
  start(prefix: string | null): void {
    this.#prefix = prefix;
    this.#subscribed = null;
  }

  /** Answers can only come to the session that asked. */
  lost(error: TagcastError): void {
    this.#subscribed = null;
    for (const waiting of [...this.#waiting.values()]) waiting.reject(error);
  }

  /** Op 18 that no subscription wanted. */
  message(message: Message): void {
    this.#waiting.get(message.tag)?.resolve(message);
  }

  /** Resolves with the first answer. Rejects with a `TagcastError`: `timeout`, `disconnected` (the outcome is unknown), `refused`. */
  async request(tag: string, payload: unknown, { timeoutMs = timeoutMsDefault }: RequestOptions): Promise<Message> {
    const bytes = encodePayload(payload);
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const text = `No answer from "${tag}" within ${timeoutMs} ms`;
    const timer = this.#connection.timers.after(timeoutMs, () =>
      reject(new TagcastError("timeout", text, { retry: true })),
    );
    let expired = false;
    let reply: string | null = null;
    const send = async () => {
      const link = await this.#connection.ready();
      if (expired) return;
      await this.#subscribe(link);
      if (expired) return;
      reply = `${this.#prefix}/${(this.#count++).toString(36)}`;
      this.#waiting.set(reply, { resolve, reject });
      this.#ownTags.note(tag);
      const body = encodePublishBody(tag, bytes, { reply });
      link.request((ref) => encodePublish(ref, body), { done: () => {}, failed: reject });
    };
    send().catch((thrown: unknown) => reject(asError(thrown)));
    return promise.finally(() => {
      expired = true;
      timer.cancel();
      if (reply !== null) this.#waiting.delete(reply);
    });
  }

  async #subscribe(link: Link): Promise<void> {
    if (this.#prefix === null) throw new TagcastError("invalid", "The server gives this session no reply tags");
    const subscribed = (this.#subscribed ??= link.call(op.subscribe, `${this.#prefix}/+`));
    try {
      await subscribed;
    } catch (thrown) {
      // The next request asks again.
      if (this.#subscribed === subscribed) this.#subscribed = null;
      throw thrown;
    }
  }
}
