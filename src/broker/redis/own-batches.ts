/** What this instance has appended and not yet heard back from the feed: whose message is whose is known here alone. */
import type { Part } from "./appends.ts";

interface OwnCall {
  readonly parts: (Part | null)[];
  open: number;
  /** Beats since it was answered; negative: not answered. */
  age: number;
}

/** Beats after which an announcement that has not come is taken to be lost. */
const ageMax = 3;

export class OwnBatches {
  readonly #calls = new Map<number, OwnCall>();
  readonly #isHeard: (app: string, tag: string) => boolean;

  /** `isHeard`: whether announcements of a tag come to this instance. */
  constructor(isHeard: (app: string, tag: string) => boolean) {
    this.#isHeard = isHeard;
  }

  get size(): number {
    return this.#calls.size;
  }

  sent(call: number, parts: readonly Part[]): void {
    let open = 0;
    let heard: (Part | null)[] | null = null;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i] as Part;
      if (!this.#isHeard(part.batch.app, part.batch.tag)) continue;
      heard ??= new Array<Part | null>(parts.length).fill(null);
      heard[i] = part;
      open++;
    }
    if (heard !== null) this.#calls.set(call, { parts: heard, open, age: -1 });
  }

  answered(call: number): void {
    const own = this.#calls.get(call);
    if (own !== undefined) own.age = 0;
  }

  /** The part that an announcement is about, once. */
  take(call: number, index: number): Part | null {
    const own = this.#calls.get(call);
    const part = own?.parts[index] ?? null;
    if (own === undefined || part === null) return null;
    own.parts[index] = null;
    if (--own.open === 0) this.#calls.delete(call);
    return part;
  }

  /** Time goes by: forgets what was not heard of. */
  beat(): void {
    for (const [call, own] of this.#calls) if (own.age >= 0 && ++own.age > ageMax) this.#calls.delete(call);
  }
}
