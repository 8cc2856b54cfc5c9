/** Tags and patterns against brute force: every pattern of a small alphabet, judged by every tag that could tell. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  assertPattern,
  assertTag,
  covers,
  intersects,
  isPattern,
  isTag,
  literalPrefix,
  matcherOf,
  matches,
  tagBytesMax,
  tagLevelsMax,
} from "../../../src/core/tag.ts";

/** All sequences of 1 … `length` levels, joined. */
function sequences(levels: readonly string[], length: number): string[] {
  let last = levels.map((level) => [level]);
  const all = [...last];
  for (let i = 1; i < length; i++) {
    last = last.flatMap((head) => levels.map((level) => [...head, level]));
    all.push(...last);
  }
  return all.map((each) => each.join("/")).filter((text) => text !== "");
}

// One level more than any pattern has, and a level that no pattern names: what `#` and `+` match and words do not.
const tags = sequences(["a", "z", "", "$s"], 4);
const exact = sequences(["a", "", "+", "$s"], 3);
const patterns = [...exact, "#", ...sequences(["a", "", "+", "$s"], 2).map((head) => `${head}/#`), "/#"];

/** MQTT 5.0 §4.7, said as a regular expression instead of a walk over levels. */
function oracle(pattern: string): (tag: string) => boolean {
  if (pattern === "#") return (tag) => !tag.startsWith("$");
  const source = pattern.replace(/[$]/g, "\\$&").replace(/\+/g, "[^/]*").replace(/\/#$/, "(/.*)?");
  const whole = new RegExp(`^${source}$`, "s");
  return (tag) => whole.test(tag) && !(pattern.startsWith("+") && tag.startsWith("$"));
}

const rows = patterns.map((pattern) => {
  const fits = oracle(pattern);
  return { pattern, matched: tags.map((tag) => fits(tag)) };
});

test("the universe is what the tests below take it for", () => {
  expect(tags.length).toBe(339);
  expect(new Set(patterns).size).toBeGreaterThan(90);
  expect(patterns.every((pattern) => isPattern(pattern))).toBe(true);
  expect(tags.every((tag) => isTag(tag))).toBe(true);
});

test("matches() agrees with brute force on every pattern and tag", () => {
  const wrong = rows.flatMap(({ pattern, matched }) =>
    tags.filter((tag, i) => matches(pattern, tag) !== matched[i]).map((tag) => `${pattern} ~ ${tag}`),
  );
  expect(wrong).toEqual([]);
});

test("matcherOf() agrees with brute force on every pattern and tag", () => {
  const wrong = rows.flatMap(({ pattern, matched }) => {
    const isMatch = matcherOf(pattern);
    return tags.filter((tag, i) => isMatch(tag) !== matched[i]).map((tag) => `${pattern} ~ ${tag}`);
  });
  expect(wrong).toEqual([]);
});

test("matcherOf() takes every character of a level for itself", () => {
  const odd = ["a.b", "a*", "(", "[a]", "^$", "\\d", "a|b", "\n", "😀", "-"];
  for (const one of odd) {
    const isMatch = matcherOf(`${one}/+/#`);
    expect(odd.filter((other) => isMatch(`${other}/\n/😀\n`))).toEqual([one]);
  }
});

test("literalPrefix() is what every tag that is matched begins with, and all of it for a tag", () => {
  const wrong = rows.flatMap(({ pattern, matched }) =>
    tags.filter((tag, i) => matched[i] && !tag.startsWith(literalPrefix(pattern))).map((tag) => `${pattern} ~ ${tag}`),
  );
  expect(wrong).toEqual([]);
  expect(["a/b", "a/b/#", "a/b/+/c", "+", "#"].map(literalPrefix)).toEqual(["a/b", "a/b", "a/b", "", ""]);
});

test("covers() agrees with brute force on every pair of patterns", () => {
  const wrong: string[] = [];
  for (const outer of rows)
    for (const inner of rows) {
      const expected = inner.matched.every((is, i) => !is || outer.matched[i]);
      if (covers(outer.pattern, inner.pattern) !== expected) wrong.push(`${outer.pattern} ⊇ ${inner.pattern}`);
    }
  expect(wrong).toEqual([]);
});

test("intersects() agrees with brute force on every pair of patterns", () => {
  const wrong: string[] = [];
  for (const a of rows)
    for (const b of rows) {
      const expected = a.matched.some((is, i) => is && b.matched[i]);
      if (intersects(a.pattern, b.pattern) !== expected) wrong.push(`${a.pattern} ∩ ${b.pattern}`);
    }
  expect(wrong).toEqual([]);
});

test("covers() lets `+/#` cover `#`, since a tag has at least one level", () => {
  expect(covers("+/#", "#")).toBe(true);
  expect(covers("+/+/#", "#")).toBe(false);
});

const level = fc.constantFrom("a", "b", "", "+");
const pattern = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 12 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest ? ["#"] : [])].join("/"))
  .filter((text) => text !== "");

test("covers() implies matches() and intersects() for longer patterns too", () => {
  fc.assert(
    fc.property(pattern, pattern, (a, b) => {
      expect(intersects(a, b)).toBe(intersects(b, a));
      expect(covers(a, a)).toBe(true);
      if (covers(a, b)) expect(intersects(a, b)).toBe(true);
      // A tag of `b`: each wildcard filled with a level that `a` does not name.
      const tag = b.replaceAll("+", "z").replaceAll("#", "z/z");
      expect(matches(b, tag)).toBe(true);
      // It stands for everything that `b` matches at this length: `a` matches it where it covers `b`.
      if (covers(a, b)) expect(matches(a, tag)).toBe(true);
    }),
  );
});

describe("isTag() and isPattern()", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc
      .array(fc.constantFrom("a", "é", "😀", "/", "+", "#", "\0", "\ud800", "$"), { maxLength: 300 })
      .map((all) => all.join("")),
  );

  test("take exactly 1–255 bytes of well-formed text without NUL in at most 64 levels", () => {
    fc.assert(
      fc.property(text, (each) => {
        const bytes = Buffer.byteLength(each);
        const fine =
          bytes >= 1 &&
          bytes <= 255 &&
          Buffer.from(each).toString() === each &&
          !each.includes("\0") &&
          each.split("/").length <= 64;
        const levels = each.split("/");
        const wild = levels.every(
          (word, i) => word === "+" || (word === "#" && i === levels.length - 1) || !/[+#]/.test(word),
        );
        expect(isTag(each)).toBe(fine && !/[+#]/.test(each));
        expect(isPattern(each)).toBe(fine && wild);
      }),
      { numRuns: 2000 },
    );
  });

  test("hold their bounds to the byte and to the level", () => {
    expect(isTag("x".repeat(tagBytesMax))).toBe(true);
    expect(isTag("x".repeat(tagBytesMax + 1))).toBe(false);
    expect(isTag("é".repeat(127) + "x")).toBe(true);
    expect(isTag("é".repeat(128))).toBe(false);
    expect(isTag("/".repeat(tagLevelsMax - 1))).toBe(true);
    expect(isTag("/".repeat(tagLevelsMax))).toBe(false);
    expect(isTag("")).toBe(false);
  });

  test("have forms that throw with the code of the wire", () => {
    expect(() => assertTag("a/+")).toThrow(expect.objectContaining({ code: expect.objectContaining({ code: 108 }) }));
    expect(() => assertPattern("a/#/b")).toThrow(
      expect.objectContaining({ code: expect.objectContaining({ code: 109 }) }),
    );
    expect(() => assertTag("a")).not.toThrow();
    expect(() => assertPattern("a/+/#")).not.toThrow();
  });
});
