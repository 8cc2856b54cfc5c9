/** Logs by application, first level and tag: a pattern that names its first level is not compared with the logs of others. */
import { firstLevel, hasWildcard, literalPrefix, matcherOf } from "../../core/tag.ts";

interface NamedLog {
  readonly app: string;
  readonly tag: string;
}

export class LogTree<L extends NamedLog> {
  readonly #apps = new Map<string, Map<string, Map<string, L>>>();

  get(app: string, tag: string): L | undefined {
    return this.#apps.get(app)?.get(firstLevel(tag))?.get(tag);
  }

  add(log: L): void {
    const first = firstLevel(log.tag);
    let levels = this.#apps.get(log.app);
    if (!levels) this.#apps.set(log.app, (levels = new Map()));
    let tags = levels.get(first);
    if (!tags) levels.set(first, (tags = new Map()));
    tags.set(log.tag, log);
  }

  remove(log: L): void {
    const first = firstLevel(log.tag);
    const levels = this.#apps.get(log.app);
    const tags = levels?.get(first);
    tags?.delete(log.tag);
    if (tags?.size === 0) levels?.delete(first);
    if (levels?.size === 0) this.#apps.delete(log.app);
  }

  /** Goes on rightly while logs come and go between two steps: iterators of maps do. */
  *all(): Generator<L, void> {
    for (const levels of this.#apps.values()) for (const tags of levels.values()) yield* tags.values();
  }

  /** The logs of an application whose tags `pattern` matches. */
  *matching(app: string, pattern: string): Generator<L, void> {
    const literal = literalPrefix(pattern);
    const isMatch = matcherOf(pattern);
    for (const tags of this.#near(app, pattern)) {
      for (const log of tags.values()) if (log.tag.startsWith(literal) && isMatch(log.tag)) yield log;
    }
  }

  /** Every log that `pattern` may match, and others. */
  #near(app: string, pattern: string): Iterable<ReadonlyMap<string, L>> {
    const levels = this.#apps.get(app);
    const first = firstLevel(pattern);
    if (hasWildcard(first)) return levels?.values() ?? [];
    const tags = levels?.get(first);
    if (tags === undefined || hasWildcard(pattern)) return tags ? [tags] : [];
    const log = tags.get(pattern);
    return log ? [new Map([[pattern, log]])] : [];
  }
}
