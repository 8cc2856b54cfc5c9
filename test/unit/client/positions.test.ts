import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Gap } from "../../../src/client/client.ts";
import { OwnTags } from "../../../src/client/own-tags.ts";
import { Positions } from "../../../src/client/positions.ts";

const nobodysOwn = { has: () => false };

function track(complete = false, ownTags: Pick<OwnTags, "has"> = nobodysOwn) {
  const gaps: string[] = [];
  const note = ({ tag, reason, from, to }: Gap) => void gaps.push(`${reason} ${tag} ${from}…${to}`);
  const positions = new Positions("p", note, ownTags);
  positions.complete = complete;
  return { positions, gaps };
}

test("each offset is admitted once, and a jump is told", () => {
  const { positions, gaps } = track();
  positions.set("t", { epoch: 1, offset: 5 });
  expect([5, 6, 6, 4, 7, 10, 9, 11].map((offset) => positions.admit("t", offset, null))).toEqual([
    false,
    true,
    false,
    false,
    true,
    true,
    false,
    true,
  ]);
  expect(gaps).toEqual(["jump t 8…9"]);
  expect(positions.get("t")).toEqual({ epoch: 1, offset: 11 });
});

test("whatever arrives, every offset up to the last is delivered once in order or told", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 60 }), (offsets) => {
      const accounted = new Set<number>();
      const note = ({ from, to }: Gap) => {
        for (let offset = from!; offset <= to!; offset++) accounted.add(offset);
      };
      const positions = new Positions("p", note, nobodysOwn);
      positions.set("t", { epoch: 1, offset: 0 });
      let last = 0;
      for (const offset of offsets) {
        if (!positions.admit("t", offset, null)) continue;
        expect(offset).toBeGreaterThan(last);
        expect(accounted.has(offset)).toBe(false);
        accounted.add(offset);
        last = offset;
      }
      expect(accounted.size).toBe(last);
    }),
  );
});

test("holes are no gaps where they may be this client's own messages, unless the server tells them", () => {
  // Every publish with `echo: false` used to raise a gap, although the protocol says that such holes are no losses.
  const ownTags = new OwnTags(true);
  ownTags.note("t", false);
  ownTags.note(["u", "v"], true);
  const { positions, gaps } = track(true, ownTags);
  for (const tag of ["t", "u"]) {
    positions.set(tag, { epoch: 1, offset: 5 });
    expect(positions.admit(tag, 8, null)).toBe(true);
  }
  expect(gaps).toEqual(["jump u 6…7"]);
  positions.told("t", { from: 10, to: 12, epoch: null });
  expect(positions.admit("t", 13, null)).toBe(true);
  expect(gaps.slice(1)).toEqual([]);
});

test("with `echo: false` for all, each tag published to may have holes", () => {
  const ownTags = new OwnTags(false);
  ownTags.note(["a", "b"]);
  ownTags.note("c", true);
  expect(["a", "b", "c", "d"].map((tag) => ownTags.has(tag))).toEqual([true, true, false, false]);
});

test("a told gap moves the position, what follows it is no jump, and what it accounts for is not delivered", () => {
  const { positions, gaps } = track();
  positions.set("t", { epoch: 1, offset: 5 });
  positions.told("t", { from: 6, to: 8, epoch: null });
  expect(positions.get("t")).toEqual({ epoch: 1, offset: 8 });
  expect([8, 9].map((offset) => positions.admit("t", offset, null))).toEqual([false, true]);
  positions.told("t", { from: null, to: null, epoch: null });
  expect(positions.get("t")).toEqual({ epoch: 1, offset: 9 });
  expect(gaps).toEqual([]);
});

test("what is missing before a told gap is told too", () => {
  const { positions, gaps } = track();
  positions.set("t", { epoch: 1, offset: 5 });
  positions.told("t", { from: 8, to: 9, epoch: null });
  expect(positions.get("t")).toEqual({ epoch: 1, offset: 9 });
  expect(gaps).toEqual(["jump t 6…7"]);
});

test("a gap with another epoch moves the position there", () => {
  const { positions, gaps } = track();
  positions.set("t", { epoch: 1, offset: 5 });
  positions.told("t", { from: null, to: 3, epoch: 2 });
  expect(positions.get("t")).toEqual({ epoch: 2, offset: 3 });
  expect([3, 4].map((offset) => positions.admit("t", offset, 2))).toEqual([false, true]);
  expect(gaps).toEqual([]);
});

test("a log that lost its end goes on where the gap says, behind what was delivered", () => {
  // Its new messages used to be dropped as old ones until their offsets were past the position of before.
  const { positions, gaps } = track();
  positions.set("t", { epoch: 1, offset: 50 });
  positions.miss("t", 1);
  positions.told("t", { from: null, to: 0, epoch: 1 });
  expect([1, 2].map((offset) => positions.admit("t", offset, null))).toEqual([true, true]);
  expect(gaps).toEqual([]);
});

test("an epoch that continues the one before keeps the offset", () => {
  const { positions, gaps } = track();
  positions.set("t", { epoch: 1, offset: 5 });
  positions.resume("t", 2);
  expect([5, 6].map((offset) => positions.admit("t", offset, 2))).toEqual([false, true]);
  expect(gaps).toEqual([]);
});

test("what was not recovered is told once: by the server, by the next message, or late", () => {
  const { positions, gaps } = track();
  for (const tag of ["a", "b", "c"]) {
    positions.set(tag, { epoch: 1, offset: 5 });
    positions.miss(tag, 1);
  }
  positions.told("a", { from: 6, to: 8, epoch: null });
  positions.admit("a", 9, null);
  positions.admit("b", 9, null);
  expect(positions.untold).toBe(true);
  positions.tellMissed();
  expect(positions.untold).toBe(false);
  expect(gaps).toEqual(["not-recovered b 6…8", "not-recovered c null…null"]);
});

test("a log that was replaced is taken from its first message", () => {
  const { positions, gaps } = track();
  positions.set("t", { epoch: 1, offset: 5 });
  positions.miss("t", 2);
  expect(positions.get("t")).toEqual({ epoch: 2, offset: 0 });
  expect([1, 2].map((offset) => positions.admit("t", offset, null))).toEqual([true, true]);
  expect(gaps).toEqual(["not-recovered t null…null"]);
});

test("through a wildcard a tag's epoch comes with its message, and a change of it is a gap", () => {
  const { positions, gaps } = track();
  expect(positions.admit("t", 8, 1)).toBe(true);
  expect(positions.admit("t", 8, 1)).toBe(false);
  expect(positions.admit("t", 3, 2)).toBe(true);
  expect(positions.get("t")).toEqual({ epoch: 2, offset: 3 });
  expect(gaps).toEqual(["jump t null…null"]);
});

test("a tag that is new to a pattern begins with its first message, or something is missing", () => {
  const { positions, gaps } = track(true);
  positions.admit("a", 1, 1);
  positions.admit("b", 3, 1);
  expect(gaps).toEqual(["jump b 1…2"]);
});
