/** The trie of interest against `matches`, which defines what a pattern takes in. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Interest } from "../../../../src/broker/memory/interest.ts";
import { Log } from "../../../../src/broker/memory/log.ts";
import { isTag, matches } from "../../../../src/core/tag.ts";

const level = fc.constantFrom("a", "b", "", "$s");
const tag = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join("/"))
  .filter(isTag);
const pattern = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest ? ["#"] : [])].join("/"));
const change = fc.record({ app: fc.constantFrom("main", "other"), pattern, wanted: fc.boolean() });

test("Interest takes in exactly the tags that a wanted pattern matches, through any changes", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), fc.array(tag, { minLength: 1, maxLength: 5 }), (changes, tags) => {
      const interest = new Interest();
      const model = new Set<string>();
      // Logs live through all changes: what they remember of the interest must never be stale.
      const logs = tags.map((one) => new Log("main", one));
      for (const { app, pattern, wanted } of changes) {
        if (wanted) interest.add(app, pattern);
        else interest.remove(app, pattern);
        if (wanted && app === "main") model.add(pattern);
        if (!wanted && app === "main") model.delete(pattern);
        for (const log of logs) expect(interest.has(log)).toBe([...model].some((one) => matches(one, log.tag)));
      }
    }),
    { numRuns: 500 },
  );
});
