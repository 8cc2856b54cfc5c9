/**
 * Which tags this instance wants to hear of. Each log caches whether a wildcard matches it until the wildcards of its
 * application change.
 */
import { PatternTrie } from "../../core/pattern-trie.ts";
import { hasWildcard } from "../../core/tag.ts";

/** A log as the interest in it is remembered. */
export interface HeardLog {
  readonly app: string;
  readonly tag: string;
  /** Whether a wildcard pattern of this instance matches the tag, as of a generation of the interest. */
  matchedByWildcard: boolean;
  matchedGeneration: number;
}

interface AppInterest {
  readonly tags: Set<string>;
  readonly wildcards: PatternTrie<true>;
  /** Changes whenever the wildcards do, and never comes back. */
  generation: number;
}

export class Interest {
  readonly #apps = new Map<string, AppInterest>();
  #generation = 0;

  add(app: string, pattern: string): void {
    let interest = this.#apps.get(app);
    if (!interest) {
      interest = { tags: new Set(), wildcards: new PatternTrie(), generation: ++this.#generation };
      this.#apps.set(app, interest);
    }
    if (!hasWildcard(pattern)) {
      interest.tags.add(pattern);
      return;
    }
    interest.generation = ++this.#generation;
    interest.wildcards.add(pattern, true);
  }

  remove(app: string, pattern: string): void {
    const interest = this.#apps.get(app);
    if (!interest) return;
    if (hasWildcard(pattern)) {
      interest.generation = ++this.#generation;
      interest.wildcards.delete(pattern);
    } else interest.tags.delete(pattern);
    if (interest.tags.size === 0 && interest.wildcards.size === 0) this.#apps.delete(app);
  }

  /** Whether anything wants to hear of the log's tag. */
  has(log: HeardLog): boolean {
    const interest = this.#apps.get(log.app);
    if (!interest) return false;
    if (interest.tags.has(log.tag)) return true;
    if (log.matchedGeneration !== interest.generation) {
      const matching: true[] = [];
      interest.wildcards.match(log.tag, matching);
      log.matchedByWildcard = matching.length > 0;
      log.matchedGeneration = interest.generation;
    }
    return log.matchedByWildcard;
  }
}
