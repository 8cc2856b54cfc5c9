/** Questions and orders to all instances, and their answers, as far as they come in time. */
import { z } from "zod";
import type { Logger } from "../../../core/logger.ts";
import type { Replies, Reply } from "../../../core/shared.ts";
import type { Clock } from "../../../lib/clock.ts";
import { type Calls, randomName } from "../calls.ts";

/** How long answers are waited for. */
export const answerMs = 2000;

const wordSchema = z.object({ id: z.string(), from: z.string(), name: z.string(), what: z.unknown() });
export type Word = z.infer<typeof wordSchema>;
const replySchema = z.object({ id: z.string(), instance: z.string(), answer: z.unknown() });

/** Channel on which an instance hears answers to what it asked. */
export function repliesOf(instance: string): string {
  return `tc1:{all}:r:${instance}`;
}

export interface AskingParts {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly instance: string;
}

interface Open {
  readonly waiting: Set<string>;
  readonly replies: Reply[];
  readonly done: PromiseWithResolvers<void>;
}

export class Asking {
  readonly #parts: AskingParts;
  readonly #handlers = new Map<string, (question: unknown) => unknown>();
  readonly #open = new Map<string, Open>();

  constructor(parts: AskingParts) {
    this.#parts = parts;
  }

  on(name: string, handle: (question: unknown) => unknown): void {
    this.#handlers.set(name, handle);
  }

  /** Says a word by `say`, whose answer is whether it goes beyond this instance, and waits for the answers of `instances`. */
  async say(
    { name, what }: { readonly name: string; readonly what: unknown },
    instances: readonly string[],
    say: (word: Word) => Promise<boolean>,
  ): Promise<Replies> {
    const { clock, instance } = this.#parts;
    const word: Word = { id: randomName(), from: instance, name, what };
    const open: Open = { waiting: new Set(instances), replies: [], done: Promise.withResolvers() };
    this.#open.set(word.id, open);
    const deadline = clock.after(answerMs, () => open.done.resolve());
    try {
      if ((await say(word)) && open.waiting.size > 0) await open.done.promise;
    } finally {
      deadline.cancel();
      this.#open.delete(word.id);
    }
    const own = open.replies.filter((reply) => reply.instance === instance);
    const others = open.replies.filter((reply) => reply.instance !== instance);
    return { replies: [...own, ...others], unanswered: [...open.waiting] };
  }

  /** A word came: does what it says, and answers. */
  async heard(heard: unknown): Promise<void> {
    const { calls, logger, instance } = this.#parts;
    const parsed = wordSchema.safeParse(heard);
    if (!parsed.success) return;
    const { id, from, name, what } = parsed.data;
    // Of a later version: it is answered too, so that nobody waits for it.
    const answer = (await this.#handlers.get(name)?.(what)) ?? null;
    const reply = { id, instance, answer };
    if (from === instance) this.#take(reply);
    else {
      calls.publish(repliesOf(from), JSON.stringify(reply)).catch((error: unknown) => {
        logger.debug("an answer to another instance was lost", { name, error });
      });
    }
  }

  /** An answer came by the channel of this instance. */
  replied(text: string): void {
    const reply = replySchema.safeParse(JSON.parse(text));
    if (reply.success) this.#take(reply.data);
  }

  #take({ id, instance, answer }: { id: string; instance: string; answer?: unknown }): void {
    const open = this.#open.get(id);
    if (open === undefined || open.replies.some((reply) => reply.instance === instance)) return;
    open.waiting.delete(instance);
    open.replies.push({ instance, answer });
    if (open.waiting.size === 0) open.done.resolve();
  }
}
