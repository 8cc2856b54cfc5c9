/** The smallest input that still fails, as far as a bounded number of tries finds it. */

export type Fails = (input: Uint8Array) => boolean | Promise<boolean>;

/** Cuts chunks out, ever smaller ones, then makes what is left plain. */
export async function minimise(input: Uint8Array, fails: Fails, triesMax: number): Promise<Uint8Array> {
  const search = new Search(input, fails, triesMax);
  for (let size = Math.max(1, input.length >> 1); ; size = Math.max(1, size >> 1)) {
    const shorter = await search.cut(size);
    if (search.isOver || (size === 1 && !shorter)) break;
  }
  await search.flatten(0x61);
  await search.flatten(0x00);
  return search.best;
}

class Search {
  best: Uint8Array;
  readonly #fails: Fails;
  #left: number;

  constructor(input: Uint8Array, fails: Fails, tries: number) {
    this.best = input;
    this.#fails = fails;
    this.#left = tries;
  }

  get isOver(): boolean {
    return this.#left <= 0;
  }

  /** Whether something of `size` could go. */
  async cut(size: number): Promise<boolean> {
    const { length } = this.best;
    for (let at = 0; at < this.best.length && !this.isOver;) {
      const { best } = this;
      if (!(await this.#try(Buffer.concat([best.subarray(0, at), best.subarray(at + size)])))) at += size;
    }
    return this.best.length < length;
  }

  async flatten(plain: number): Promise<void> {
    for (let at = 0; at < this.best.length && !this.isOver; at++) {
      const { best } = this;
      if (best[at] !== 0x61 && best[at] !== plain) await this.#try(Uint8Array.from(best).fill(plain, at, at + 1));
    }
  }

  async #try(candidate: Uint8Array): Promise<boolean> {
    if (this.#left-- <= 0 || !(await this.#fails(candidate))) return false;
    this.best = candidate;
    return true;
  }
}
