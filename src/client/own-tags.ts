/**
 * Tags to which this client publishes what it does not want back (`echo: false`). The server leaves such messages out, so
 * a hole in the offsets of these tags is no sign of a loss.
 */

/** Beyond so many every tag counts as one. */
const tagsMax = 10_000;

export class OwnTags {
  readonly #echo: boolean;
  readonly #tags = new Set<string>();

  /** `echo`: what holds for publishes that do not say. */
  constructor(echo: boolean) {
    this.#echo = echo;
  }

  /** Before a publish is sent. */
  note(tags: string | readonly string[], echo: boolean = this.#echo): void {
    if (echo || this.#tags.size >= tagsMax) return;
    for (const tag of typeof tags === "string" ? [tags] : tags) this.#tags.add(tag);
  }

  has(tag: string): boolean {
    return this.#tags.has(tag) || this.#tags.size >= tagsMax;
  }
}
