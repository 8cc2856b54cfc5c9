/**
 * Which tags this instance wants to hear of: exact tags in a set, patterns with wildcards in a trie of levels. Each log
 * caches whether a wildcard matches it until the wildcards of its application change.
 *
 *     a/+/c, a/#        (root) ── a ──┬── +  ── c ·        · a pattern ends here
 *                                    └ rest                rest: a pattern ends here with "#"
 */
import { hasWildcard, isSystemTag } from "../../core/tag.ts";
import type { Log } from "./log.ts";

interface Level {
  readonly next: Map<string, Level>;
  ends: boolean;
  rest: boolean;
}

interface AppInterest {
  readonly tags: Set<string>;
  readonly wildcards: Level;
  /** Changes whenever the wildcards do, and never comes back. */
  generation: number;
}

export class Interest {
  readonly #apps = new Map<string, AppInterest>();
  #generation = 0;

  add(app: string, pattern: string): void {
    let interest = this.#apps.get(app);
    if (!interest) {
      interest = { tags: new Set(), wildcards: newLevel(), generation: ++this.#generation };
      this.#apps.set(app, interest);
    }
    if (!hasWildcard(pattern)) {
      interest.tags.add(pattern);
      return;
    }
    interest.generation = ++this.#generation;
    mark(interest.wildcards, pattern.split("/"), 0, true);
  }

  remove(app: string, pattern: string): void {
    const interest = this.#apps.get(app);
    if (!interest) return;
    if (hasWildcard(pattern)) {
      interest.generation = ++this.#generation;
      mark(interest.wildcards, pattern.split("/"), 0, false);
    } else interest.tags.delete(pattern);
    if (interest.tags.size === 0 && isBare(interest.wildcards)) this.#apps.delete(app);
  }

  /** Whether anything wants to hear of the log's tag. */
  has(log: Log): boolean {
    const interest = this.#apps.get(log.app);
    if (!interest) return false;
    if (interest.tags.has(log.tag)) return true;
    if (log.matchedGeneration !== interest.generation) {
      log.matchedByWildcard = matchesAny(interest.wildcards, log.tag);
      log.matchedGeneration = interest.generation;
    }
    return log.matchedByWildcard;
  }
}

function newLevel(): Level {
  return { next: new Map(), ends: false, rest: false };
}

function isBare(level: Level): boolean {
  return !level.ends && !level.rest && level.next.size === 0;
}

/** Sets or clears the end of a pattern, from level `i` on; what leads nowhere any more is removed. */
function mark(level: Level, names: readonly string[], i: number, wanted: boolean): void {
  const name = names[i];
  if (name === undefined) {
    level.ends = wanted;
    return;
  }
  if (name === "#") {
    level.rest = wanted;
    return;
  }
  let below = level.next.get(name);
  if (!below) {
    if (!wanted) return;
    level.next.set(name, (below = newLevel()));
  }
  mark(below, names, i + 1, wanted);
  if (isBare(below)) level.next.delete(name);
}

function matchesAny(root: Level, tag: string): boolean {
  const names = tag.split("/");
  if (!isSystemTag(tag)) return matchesFrom(root, names, 0);
  const below = root.next.get(names[0] ?? "");
  return below !== undefined && matchesFrom(below, names, 1);
}

/** As deep as the tag has levels, and visits each node of the trie at most once. */
function matchesFrom(level: Level, names: readonly string[], i: number): boolean {
  if (level.rest) return true;
  const name = names[i];
  if (name === undefined) return level.ends;
  const literal = level.next.get(name);
  if (literal && matchesFrom(literal, names, i + 1)) return true;
  const single = level.next.get("+");
  return single !== undefined && matchesFrom(single, names, i + 1);
}
