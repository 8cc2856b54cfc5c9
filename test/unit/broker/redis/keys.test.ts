/** Where tags stand in Redis, and which channels bring what a pattern matches. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Places, slots } from "../../../../src/broker/redis/keys.ts";
import { matches } from "../../../../src/core/tag.ts";

/** The channels on which the scripts announce a tag, from its place as they read it. */
function announcedOn(places: Places, app: string, tag: string): string[] {
  const { head } = places.of(app, tag);
  const view = Buffer.from(head);
  const base = `tc1:{${view.readUInt16BE(0)}}:`;
  const name = view.subarray(9);
  const prefixes = [view.readUInt16BE(2), view.readUInt16BE(4)].filter((bytes) => bytes > 0);
  expect(name.length).toBe(view.readUInt16BE(7));
  expect(name.subarray(0, view.readUInt8(6)).toString()).toBe(app);
  return [
    `${base}c:${name.toString()}`,
    ...prefixes.map((bytes) => `${base}p:${name.subarray(0, bytes).toString()}`),
    `tc1:f:${app}`,
  ];
}

const level = fc.constantFrom("", "a", "b", "ä", "{x}", "$s");
const tags = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const patterns = fc
  .array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 })
  .chain((levels) => fc.boolean().map((rest) => (rest ? [...levels, "#"] : levels).join("/")));

describe("Each channel of a pattern", () => {
  for (const slotLevels of [1, 2, 3]) {
    test(`brings every tag that the pattern matches, with slots of ${slotLevels}`, () => {
      const places = new Places(slotLevels);
      fc.assert(
        fc.property(tags, patterns, (tag, pattern) => {
          fc.pre(tag !== "" && pattern !== "" && matches(pattern, tag));
          const announced = new Set(announcedOn(places, "app", tag));
          expect(places.channels("app", pattern).filter((channel) => !announced.has(channel))).toEqual([]);
          const slot = places.slotOf("app", pattern);
          expect([null, places.of("app", tag).slot]).toContain(slot);
        }),
        { numRuns: 500 },
      );
    });
  }

  test("is the narrowest there is first, and the firehose of the application last", () => {
    const places = new Places(1);
    const kinds = (pattern: string) =>
      places.channels("main", pattern).map((channel) => channel.replace(/\{\d+\}/, "{}"));
    expect(kinds("a/b/c")).toEqual(["tc1:{}:c:main\0a/b/c", "tc1:{}:p:main\0a/b", "tc1:{}:p:main\0a", "tc1:f:main"]);
    expect(kinds("a/b/+")).toEqual(["tc1:{}:p:main\0a/b", "tc1:{}:p:main\0a", "tc1:f:main"]);
    expect(kinds("a/#")).toEqual(["tc1:{}:p:main\0a", "tc1:f:main"]);
    expect(kinds("#")).toEqual(["tc1:f:main"]);
    expect(kinds("+/a")).toEqual(["tc1:f:main"]);
  });
});

describe("A place", () => {
  test("never has a user's text inside the braces, and hashes by application and first level alone", () => {
    const places = new Places(1);
    for (const tag of ["{a}/b", "}{", "a{1}"]) {
      expect(places.channels("{app}", tag)[0]).toMatch(/^tc1:\{\d+\}:/);
    }
    expect(places.of("main", "a/b/c").slot).toBe(places.of("main", "a").slot);
    const used = new Set(Array.from({ length: 5000 }, (_, i) => places.of("main", `${i}/t`).slot));
    expect(used.size).toBeGreaterThan(slots * 0.95);
    expect([...used].every((slot) => slot >= 0 && slot < slots)).toBe(true);
  });

  test("is the same for the same tag, and another for another application", () => {
    const places = new Places(2);
    expect(places.of("main", "a")).toBe(places.of("main", "a"));
    expect(Buffer.from(places.of("other", "a").head).equals(places.of("main", "a").head)).toBe(false);
  });
});
