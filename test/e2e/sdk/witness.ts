/** Keeps what a subscription hands on, in order, and judges it: every message once and in order, or a gap that says so. */
import type { Gap, Message, Subscription } from "../../../src/client/client.ts";
import { type Numbered, numberOf, within } from "./checks.ts";

type Event = { readonly message: Message<Numbered> } | { readonly gap: Gap };

export class Witness {
  readonly events: Event[] = [];
  readonly messages: Message<Numbered>[] = [];
  readonly gaps: Gap[] = [];
  readonly #numbers = new Map<string, number[]>();
  #subscription: Subscription<Numbered> | null = null;
  #looks = new Set<() => void>();

  get subscription(): Subscription<Numbered> {
    if (this.#subscription === null) throw new Error("There is no subscription yet");
    return this.#subscription;
  }

  attach(subscription: Subscription<Numbered>): void {
    this.#subscription = subscription;
    subscription.on("gap", (gap) => {
      this.gaps.push(gap);
      this.#keep({ gap });
    });
  }

  take(message: Message<Numbered>): void {
    this.messages.push(message);
    const numbers = this.#numbers.get(message.tag) ?? [];
    this.#numbers.set(message.tag, numbers);
    numbers.push(numberOf(message));
    this.#keep({ message });
  }

  /** The numbers that came of a tag. */
  numbers(tag: string): readonly number[] {
    return this.#numbers.get(tag) ?? [];
  }

  /** Waits for message `n` of a tag. */
  until(tag: string, n: number): Promise<void> {
    return this.holds(() => this.numbers(tag).at(-1) === n, `message ${n} of ${tag}`);
  }

  /** Waits until `condition` holds, looking again after each event. */
  holds(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (!condition()) return;
      this.#looks.delete(look);
      resolve();
    };
    this.#looks.add(look);
    return within(promise, () => `${what}; ${this.told()}`);
  }

  /** @throws where a message was doubled, came out of order, or is missing without a gap before the next one */
  judge(tag: string, from: number, to: number): void {
    let next = from;
    let excused = false;
    for (const event of this.events) {
      if ("gap" in event) excused ||= event.gap.tag === tag || event.gap.tag === event.gap.pattern;
      else if (event.message.tag === tag) {
        const n = numberOf(event.message);
        if (n < next) throw new Error(`${n} of ${tag} came again or late; ${this.told()}`);
        if (n > next && !excused) throw new Error(`${next} of ${tag} is missing without a gap; ${this.told()}`);
        next = n + 1;
        excused = false;
      }
    }
    if (next !== to + 1) throw new Error(`${tag} ended before ${next}, not ${to + 1}; ${this.told()}`);
  }

  /** The same, and no gap either. */
  judgeWhole(tag: string, from: number, to: number): void {
    this.judge(tag, from, to);
    if (this.gaps.length > 0) throw new Error(`There are gaps; ${this.told()}`);
  }

  /** The last events, and those around each gap. */
  told(): string {
    const near = (i: number) => this.events.slice(Math.max(0, i - 2), i + 3).some((event) => "gap" in event);
    const shown = this.events.flatMap((event, i) => (i >= this.events.length - 8 || near(i) ? [describe(event)] : []));
    return `${this.events.length} events, among them: ${shown.slice(-40).join(", ")}`;
  }

  #keep(event: Event): void {
    this.events.push(event);
    for (const look of [...this.#looks]) look();
  }
}

function describe(event: Event): string {
  if ("message" in event) return `${event.message.tag}:${numberOf(event.message)}@${event.message.offset}`;
  const { tag, reason, from, to, code, count, epoch } = event.gap;
  return `gap ${JSON.stringify({ tag, reason, from, to, code, count, epoch })}`;
}
