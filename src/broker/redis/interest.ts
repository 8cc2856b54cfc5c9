/** Which tags this instance wants to hear of: what a channel brings beyond that is dropped. */
import { PatternTrie } from "../../core/pattern-trie.ts";
import { hasWildcard } from "../../core/tag.ts";

interface AppInterest {
  readonly tags: Set<string>;
  readonly wildcards: PatternTrie<true>;
  /** Whether a wildcard matches a tag, as long as the wildcards are what they are. */
  readonly matched: Map<string, boolean>;
}

/** Tags remembered for an application. */
const matchedMax = 50_000;

export class Interest {
  readonly #apps = new Map<string, AppInterest>();

  add(app: string, pattern: string): void {
    let interest = this.#apps.get(app);
    if (interest === undefined) {
      interest = { tags: new Set(), wildcards: new PatternTrie(), matched: new Map() };
      this.#apps.set(app, interest);
    }
    if (hasWildcard(pattern)) {
      interest.wildcards.add(pattern, true);
      interest.matched.clear();
    } else interest.tags.add(pattern);
  }

  remove(app: string, pattern: string): void {
    const interest = this.#apps.get(app);
    if (interest === undefined) return;
    if (hasWildcard(pattern)) {
      interest.wildcards.delete(pattern);
      interest.matched.clear();
    } else interest.tags.delete(pattern);
    if (interest.tags.size + interest.wildcards.size === 0) this.#apps.delete(app);
  }

  has(app: string, tag: string): boolean {
    const interest = this.#apps.get(app);
    if (interest === undefined) return false;
    if (interest.tags.has(tag)) return true;
    if (interest.wildcards.size === 0) return false;
    const known = interest.matched.get(tag);
    if (known !== undefined) return known;
    const found: true[] = [];
    interest.wildcards.match(tag, found);
    if (interest.matched.size >= matchedMax) interest.matched.clear();
    interest.matched.set(tag, found.length > 0);
    return found.length > 0;
  }
}
