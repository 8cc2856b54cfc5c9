/** Publishers that are to wait while so much of what was published is still to be sent. */
import type { Distributor } from "./distributor.ts";
import type { Publisher } from "./subscriber.ts";

/** Of the bound of the backlog: above it publishers are held back, and below it no more. */
const congestedPart = 1 / 4;
const relievedPart = 1 / 8;

export class HeldBack {
  /** How often somebody was held back. */
  count = 0;
  readonly #distributor: Distributor;
  readonly #congestedBytes: number;
  readonly #relievedBytes: number;
  readonly #publishers = new Set<Publisher>();

  constructor(distributor: Distributor, backlogMaxBytes: number) {
    this.#distributor = distributor;
    this.#congestedBytes = backlogMaxBytes * congestedPart;
    this.#relievedBytes = backlogMaxBytes * relievedPart;
  }

  /** Whether whoever publishes is to wait. */
  get congested(): boolean {
    return this.#distributor.backlogBytes > this.#congestedBytes;
  }

  add(publisher: Publisher): void {
    if (publisher.holdBack === undefined || this.#publishers.has(publisher)) return;
    this.#publishers.add(publisher);
    this.count++;
    publisher.holdBack();
  }

  /** It is gone. */
  forget(publisher: Publisher): void {
    this.#publishers.delete(publisher);
  }

  /** End of a turn. */
  relieve(): void {
    if (this.#publishers.size === 0 || this.#distributor.backlogBytes >= this.#relievedBytes) return;
    const publishers = [...this.#publishers];
    this.#publishers.clear();
    for (const publisher of publishers) publisher.relieved?.();
  }
}
