/** Ids of event streams: what they carry comes back, and what is not one of ours is refused. */
import { describe, expect, test } from "bun:test";
import { Encoder } from "@msgpack/msgpack";
import fc from "fast-check";
import { errors } from "../../../src/core/codes.ts";
import { ProtocolError } from "../../../src/core/errors.ts";
import { offsetMax, type Position } from "../../../src/core/position.ts";
import { hasWildcard, isPattern, isTag, matches } from "../../../src/core/tag.ts";
import { eventIdLimits, readEventId, StreamPositions } from "../../../src/gateway/event-ids.ts";

const position = fc.record({
  epoch: fc.integer({ min: 1, max: 0xffff_ffff }),
  offset: fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constant(offsetMax)),
});
const level = fc.oneof(fc.constantFrom("", "a", "plant", "ünïcode", "1"), fc.string({ maxLength: 8 }));
const tag = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join("/"))
  .filter((text) => isTag(text) && !text.startsWith("$"));
const patternOf = (text: string) =>
  fc.nat(text.split("/").length).chain((at) => {
    const levels = text.split("/");
    return fc.constantFrom(
      text,
      levels.with(Math.min(at, levels.length - 1), "+").join("/"),
      [...levels.slice(0, at), "#"].join("/"),
    );
  });

/** Tags with a pattern that matches each of them. */
const subscriptions = fc.uniqueArray(
  tag.chain((text) => fc.record({ tag: fc.constant(text), pattern: patternOf(text), position })),
  { maxLength: 12, selector: ({ pattern, tag: name }) => `${pattern}\n${name}` },
);

function idOf(
  patterns: readonly string[],
  entries: readonly { pattern: string; tag: string; position: Position }[],
): string {
  const positions = new StreamPositions(patterns);
  for (const { pattern, tag: name, position: at } of entries) positions.of(pattern).set(name, at.epoch, at.offset);
  return positions.id();
}

function refusal(read: () => unknown): ProtocolError {
  try {
    read();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error("Was not refused");
}

describe("an event id", () => {
  test("brings back any positions, whatever the order of the patterns", () => {
    fc.assert(
      fc.property(subscriptions, fc.array(tag, { maxLength: 4 }), (entries, idle) => {
        const patterns = [...new Set([...entries.map(({ pattern }) => pattern), ...idle])];
        fc.pre(patterns.every(isPattern) && entries.every(({ pattern, tag: name }) => matches(pattern, name)));
        const id = idOf(patterns, entries);
        expect(id).toMatch(/^[\w-]+$/);
        const expected = new Map<string, Position | Map<string, Position>>();
        for (const { pattern, tag: name, position: at } of entries) {
          if (!hasWildcard(pattern)) expected.set(pattern, at);
          else
            expected.set(pattern, new Map([...((expected.get(pattern) as Map<string, Position>) ?? []), [name, at]]));
        }
        expect(readEventId(id, patterns.toReversed())).toEqual(expected);
      }),
    );
  });

  test("names the parent of a last # too", () => {
    const at = { epoch: 7, offset: 9 };
    const entries = ["a", "a/", "a/b"].map((name) => ({ pattern: "a/#", tag: name, position: at }));
    const found = readEventId(idOf(["a/#"], entries), ["a/#"]).get("a/#");
    expect([...(found as Map<string, Position>).keys()]).toEqual(["a", "a/", "a/b"]);
  });

  test("says of a wildcard that it has no log yet, which differs from nothing to continue from", () => {
    const positions = new StreamPositions(["a/#", "b/#", "c"]);
    positions.of("a/#");
    expect(positions.useful).toBe(true);
    expect(readEventId(positions.id(), ["a/#", "b/#", "c"])).toEqual(new Map([["a/#", new Map()]]));
  });

  test("of the most tags, with offsets as large as can be, keeps within its bound", () => {
    const patterns = Array.from({ length: eventIdLimits.patternsMax }, (_, i) => `sensor/${i}`);
    const entries = patterns.map((pattern) => ({
      pattern,
      tag: pattern,
      position: { epoch: 0xffff_ffff, offset: offsetMax },
    }));
    const id = idOf(patterns, entries);
    expect(id.length).toBeLessThan(eventIdLimits.lengthMax / 2);
    expect(readEventId(id, patterns).size).toBe(eventIdLimits.patternsMax);
  });

  test("is refused by a stream of other patterns", () => {
    const id = idOf(["a", "b"], [{ pattern: "a", tag: "a", position: { epoch: 1, offset: 2 } }]);
    for (const patterns of [["a"], ["a", "c"], ["a", "b", "c"]]) {
      const error = refusal(() => readEventId(id, patterns));
      expect(error.code).toBe(errors.badRequest);
      expect(error.message).toContain("other tags");
    }
  });

  test("is a bad request where it is anything else", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.uint8Array().map(base64)), (text) => {
        expect(refusal(() => readEventId(text, ["a", "b/#"])).code).toBe(errors.badRequest);
      }),
    );
  });

  test("is a bad request where its fields are wrong in any way", () => {
    const sum = (patterns: string[]) => Bun.hash.crc32(patterns.join("\n"));
    const a = sum(["a"]);
    const wild = sum(["a/#"]);
    const bad: [unknown, string][] = [
      [null, "a"],
      [{ 0: 1 }, "a"],
      [[2, a, [1, 2]], "a"],
      [[1, a], "a"],
      [[1, a, [1, 2], null], "a"],
      [[1, a, 5], "a"],
      [[1, a, [0, 2]], "a"],
      [[1, a, [2 ** 32, 2]], "a"],
      [[1, a, [1, -1]], "a"],
      [[1, a, [1, 1.5]], "a"],
      [[1, a, [1, 2n ** 53n]], "a"],
      [[1, a, [1, 2, 3]], "a"],
      [[1, wild, ["x", 1]], "a/#"],
      [[1, wild, ["x", 1, 2, "x", 1, 2]], "a/#"],
      [[1, wild, ["x/+", 1, 2]], "a/#"],
      [[1, wild, [7, 1, 2]], "a/#"],
      [[1, wild, Array.from({ length: 65 }, (_, i) => [`${i}`, 1, 1]).flat()], "a/#"],
    ];
    const encoder = new Encoder({ useBigInt64: true });
    for (const [value, pattern] of bad) {
      const error = refusal(() => readEventId(base64(encoder.encode(value)), [pattern]));
      expect({ value, code: error.code }).toEqual({ value, code: errors.badRequest });
    }
    const good = base64(encoder.encode([1, wild, ["x", 1, 2]]));
    expect(readEventId(good, ["a/#"])).toEqual(new Map([["a/#", new Map([["a/x", { epoch: 1, offset: 2 }]])]]));
  });
});

function base64(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
