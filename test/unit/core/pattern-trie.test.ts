import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hasWildcard, isPattern, isTag, matches } from "../../../src/core/tag.ts";
import { PatternTrie } from "../../../src/core/pattern-trie.ts";

const level = fc.constantFrom("", "a", "b", "ab", "$s", "é");
const tag = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join("/"))
  .filter(isTag);
const pattern = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest ? ["#"] : [])].join("/"))
  .filter((text) => isPattern(text) && hasWildcard(text));

function trieOf(patterns: Iterable<string>): PatternTrie<string> {
  const trie = new PatternTrie<string>();
  for (const one of patterns) trie.add(one, one);
  return trie;
}

function matchesOf(trie: PatternTrie<string>, text: string): string[] {
  const found: string[] = [];
  trie.match(text, found);
  return found.sort();
}

describe("A trie of patterns", () => {
  test("finds exactly the patterns that match a tag", () => {
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 12 }), tag, (patterns, text) => {
        expect(matchesOf(trieOf(patterns), text)).toEqual(patterns.filter((one) => matches(one, text)).sort());
      }),
      { numRuns: 2000 },
    );
  });

  test("is the same as if what was deleted had never been there", () => {
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 12 }), fc.nat(12), tag, (patterns, count, text) => {
        const kept = patterns.slice(count);
        const trie = trieOf(patterns);
        for (const one of patterns.slice(0, count)) trie.delete(one);
        expect(matchesOf(trie, text)).toEqual(matchesOf(trieOf(kept), text));
        expect([...patterns.map((one) => trie.get(one))]).toEqual(
          patterns.map((one) => (kept.includes(one) ? one : null)),
        );
        expect([...trie.values()].sort()).toEqual([...kept].sort());
        expect(trie.size).toBe(kept.length);
      }),
      { numRuns: 1000 },
    );
  });

  test("holds a pattern once, with the value that it was given last", () => {
    const trie = new PatternTrie<string>();
    trie.add("a/#", "first");
    trie.add("a/#", "second");
    expect([trie.size, matchesOf(trie, "a/b")]).toEqual([1, ["second"]]);
    trie.delete("a/#");
    expect([trie.size, matchesOf(trie, "a/b")]).toEqual([0, []]);
  });

  test("does not mind the deletion of what is not there", () => {
    const trie = trieOf(["a/+/c"]);
    for (const absent of ["a/+", "a/+/c/#", "b/+"]) trie.delete(absent);
    expect([trie.size, matchesOf(trie, "a/b/c")]).toEqual([1, ["a/+/c"]]);
  });
});
