/**
 * A trie of patterns with wildcards, to find those that match a tag. Exact tags do not belong in it: they are found by name.
 *
 *   root ─ "plant" ─┬─ "+" ─ "temp"  → plant/+/temp
 *                   └─ "#"           → plant/#
 *
 * A match walks at most two branches a level (the level's name and `+`) and picks up `#` on the way.
 */
import { isSystemTag } from "./tag.ts";

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  value: T | null;
}

export class PatternTrie<T> {
  readonly #root: Node<T> = { children: new Map(), value: null };
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a valid pattern; one that is in the trie gets the new value. */
  add(pattern: string, value: T): void {
    let node = this.#root;
    for (const level of pattern.split("/")) {
      let child = node.children.get(level);
      if (child === undefined) {
        child = { children: new Map(), value: null };
        node.children.set(level, child);
      }
      node = child;
    }
    if (node.value === null) this.#size++;
    node.value = value;
  }

  get(pattern: string): T | null {
    let node: Node<T> | undefined = this.#root;
    for (const level of pattern.split("/")) {
      node = node.children.get(level);
      if (node === undefined) return null;
    }
    return node.value;
  }

  /** Removes a pattern and the branches that only it used. */
  delete(pattern: string): void {
    const levels = pattern.split("/");
    const path: Node<T>[] = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level);
      if (child === undefined) return;
      path.push(child);
    }
    const leaf = path.at(-1);
    if (leaf === undefined || leaf.value === null) return;
    leaf.value = null;
    this.#size--;
    for (let i = levels.length; i > 0; i--) {
      const node = path[i] as Node<T>;
      if (node.value !== null || node.children.size > 0) return;
      path[i - 1]?.children.delete(levels[i - 1] as string);
    }
  }

  /** The values of all patterns, in no order. */
  *values(): Iterable<T> {
    const open: Node<T>[] = [this.#root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.value !== null) yield node.value;
      open.push(...node.children.values());
    }
  }

  /** Appends the values of all patterns that match `tag` to `found`. */
  match(tag: string, found: T[]): void {
    if (this.#size === 0) return;
    collect(this.#root, { levels: tag.split("/"), found }, 0, !isSystemTag(tag));
  }
}

interface Search<T> {
  readonly levels: readonly string[];
  readonly found: T[];
}

function collect<T>(node: Node<T>, search: Search<T>, depth: number, wild: boolean): void {
  const { levels, found } = search;
  if (wild) {
    const rest = node.children.get("#");
    if (rest !== undefined && rest.value !== null) found.push(rest.value);
  }
  if (depth === levels.length) {
    if (node.value !== null) found.push(node.value);
    return;
  }
  const named = node.children.get(levels[depth] as string);
  if (named !== undefined) collect(named, search, depth + 1, true);
  const plus = wild ? node.children.get("+") : undefined;
  if (plus !== undefined) collect(plus, search, depth + 1, true);
}
