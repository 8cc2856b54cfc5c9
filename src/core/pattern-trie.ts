/**
 * A trie of patterns with wildcards, to find those that match a tag. Exact tags do not belong in it: they are found by name.
 *
 *   root ─ "plant" ─┬─ "+" ─ "temp"  → plant/+/temp
 *                   └─ "#"           → plant/#
 *
 * A match walks at most two branches a level (the level's name and `+`) and picks up `#` on the way. Most nodes have one
 * child, which stands in the node itself: a map for each would make a long pattern cost ten times as much.
 */
import { isSystemTag } from "./tag.ts";

class Node<T> {
  value: T | null = null;
  /** The only child, or null where there is none or `#more` has them. */
  #level: string | null = null;
  #child: Node<T> | null = null;
  #more: Map<string, Node<T>> | null = null;

  get isBare(): boolean {
    return this.value === null && this.#child === null && this.#more === null;
  }

  get(level: string): Node<T> | undefined {
    if (this.#more !== null) return this.#more.get(level);
    return this.#child !== null && this.#level === level ? this.#child : undefined;
  }

  /** Adds a child that is not there. */
  add(level: string, child: Node<T>): void {
    if (this.#more !== null) this.#more.set(level, child);
    else if (this.#child === null) this.#only(level, child);
    else {
      this.#more = new Map([
        [this.#level as string, this.#child],
        [level, child],
      ]);
      this.#only(null, null);
    }
  }

  delete(level: string): void {
    if (this.#more === null) return this.#only(null, null);
    this.#more.delete(level);
    if (this.#more.size !== 1) return;
    for (const [last, child] of this.#more) this.#only(last, child);
    this.#more = null;
  }

  children(): Iterable<Node<T>> {
    return this.#more?.values() ?? (this.#child === null ? [] : [this.#child]);
  }

  #only(level: string | null, child: Node<T> | null): void {
    this.#level = level;
    this.#child = child;
  }
}

export class PatternTrie<T> {
  readonly #root = new Node<T>();
  #size = 0;
  #levels = 0;

  get size(): number {
    return this.#size;
  }

  /** Levels of all patterns, what patterns begin with in common counted once: what the trie takes in memory. */
  get levels(): number {
    return this.#levels;
  }

  /** How many levels `pattern` would add. */
  levelsMissing(pattern: string): number {
    const levels = pattern.split("/");
    let node: Node<T> | undefined = this.#root;
    for (const [known, level] of levels.entries()) {
      node = node.get(level);
      if (node === undefined) return levels.length - known;
    }
    return 0;
  }

  /** Adds a valid pattern; one that is in the trie gets the new value. */
  add(pattern: string, value: T): void {
    let node = this.#root;
    for (const level of pattern.split("/")) {
      let child = node.get(level);
      if (child === undefined) {
        child = new Node<T>();
        node.add(level, child);
        this.#levels++;
      }
      node = child;
    }
    if (node.value === null) this.#size++;
    node.value = value;
  }

  get(pattern: string): T | null {
    let node: Node<T> | undefined = this.#root;
    for (const level of pattern.split("/")) {
      node = node.get(level);
      if (node === undefined) return null;
    }
    return node.value;
  }

  /** Removes a pattern and the branches that only it used. */
  delete(pattern: string): void {
    const levels = pattern.split("/");
    const path: Node<T>[] = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.get(level);
      if (child === undefined) return;
      path.push(child);
    }
    const leaf = path.at(-1);
    if (leaf === undefined || leaf.value === null) return;
    leaf.value = null;
    this.#size--;
    for (let i = levels.length; i > 0; i--) {
      if (!(path[i] as Node<T>).isBare) return;
      path[i - 1]?.delete(levels[i - 1] as string);
      this.#levels--;
    }
  }

  /** The values of all patterns, in no order. */
  *values(): Iterable<T> {
    const open: Node<T>[] = [this.#root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.value !== null) yield node.value;
      open.push(...node.children());
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
    const rest = node.get("#");
    if (rest !== undefined && rest.value !== null) found.push(rest.value);
  }
  if (depth === levels.length) {
    if (node.value !== null) found.push(node.value);
    return;
  }
  const named = node.get(levels[depth] as string);
  if (named !== undefined) collect(named, search, depth + 1, true);
  const plus = wild ? node.get("+") : undefined;
  if (plus !== undefined) collect(plus, search, depth + 1, true);
}
