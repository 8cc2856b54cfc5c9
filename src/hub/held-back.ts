/** Publishers that are to wait while so much of what was published is still to be sent. */
import type { Distributor } from "./distributor.ts";
import type { Publisher, PublisherPace } from "./subscriber.ts";

/** Of the bound of the backlog: above it publishers are held back, and below it no more. */
const congestedPart = 1 / 4;
const relievedPart = 1 / 8;

export class HeldBack {
  /** How often somebody was held back. */
  count = 0;
  readonly #distributor: Distributor;
  readonly #congestedBytes: number;
  readonly #relievedBytes: number;
  readonly #paces = new Set<PublisherPace>();

  constructor(distributor: Distributor, backlogMaxBytes: number) {
    this.#distributor = distributor;
    this.#congestedBytes = backlogMaxBytes * congestedPart;
    this.#relievedBytes = backlogMaxBytes * relievedPart;
  }

  /** Whether whoever publishes is to wait. */
  get congested(): boolean {
    return this.#distributor.backlogBytes > this.#congestedBytes;
  }

  add({ pace }: Publisher): void {
    if (pace === undefined || this.#paces.has(pace)) return;
    this.#paces.add(pace);
    this.count++;
    pace.holdBack();
  }

  /** It is gone. */
  forget({ pace }: Partial<Publisher>): void {
    if (pace !== undefined) this.#paces.delete(pace);
  }

  /** End of a turn. */
  relieve(): void {
    if (this.#paces.size === 0 || this.#distributor.backlogBytes >= this.#relievedBytes) return;
    const heldBack = [...this.#paces];
    this.#paces.clear();
    for (const pace of heldBack) pace.relieved();
  }
}
