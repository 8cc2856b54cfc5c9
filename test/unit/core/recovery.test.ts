import { describe, expect, test } from "bun:test";
import { gaps } from "../../../src/core/codes.ts";
import { recovery } from "../../../src/core/recovery.ts";

describe("admit", () => {
  test.each([
    [0, 1, "next"],
    [0, 2, "hole"],
    [5, 6, "next"],
    [5, 7, "hole"],
    [5, 5, "old"],
    [5, 1, "old"],
  ] as const)("with everything up to %d served, offset %d is %s", (top, offset, verdict) => {
    expect(recovery.admit(top, offset)).toBe(verdict);
  });
});

describe("trimmed", () => {
  test.each([
    [0, 1, null],
    [4, 5, null],
    [4, 1, null],
    [4, 6, [5, 5]],
    [0, 10, [1, 9]],
  ] as const)("a reader that has everything up to %d of a log that begins at %d lost %p", (cursor, oldest, lost) => {
    const gap = recovery.trimmed(cursor, oldest);
    expect(gap && [gap.from, gap.to, gap.code.name, gap.epoch]).toEqual(lost && [...lost, "trimmed", undefined]);
  });
});

describe("resume", () => {
  const log = { epoch: 7, top: 10, oldest: 4 };
  const previous = { ...log, previous: { epoch: 6, offset: 8 } };
  const wholeFrom = (cursor: number) => ({ recovered: true, cursor, gap: null });

  test.each([
    ["at the top", 10],
    ["just before the oldest", 3],
  ])("continues %s", (_, offset) => {
    expect(recovery.resume({ epoch: 7, offset }, log)).toEqual(wholeFrom(offset));
  });

  test("tells exactly what was trimmed, and goes on with the oldest", () => {
    const { recovered, cursor, gap } = recovery.resume({ epoch: 7, offset: 1 }, log);
    expect({ recovered, cursor, from: gap?.from, to: gap?.to, code: gap?.code.name, epoch: gap?.epoch }).toEqual({
      recovered: false,
      cursor: 3,
      from: 2,
      to: 3,
      code: "trimmed",
      epoch: undefined,
    });
  });

  test.each([
    ["of another epoch", { epoch: 6, offset: 5 }, log],
    ["beyond the top", { epoch: 7, offset: 11 }, log],
    ["beyond where the previous epoch reached", { epoch: 6, offset: 9 }, previous],
    ["of an epoch before the previous one", { epoch: 5, offset: 1 }, previous],
  ])("begins anew at a position %s", (_, since, state) => {
    const { recovered, cursor, gap } = recovery.resume(since, state);
    expect({ recovered, cursor, from: gap?.from, to: gap?.to, code: gap?.code.name, epoch: gap?.epoch }).toEqual({
      recovered: false,
      cursor: 3,
      from: null,
      to: 3,
      code: "epoch-changed",
      epoch: 7,
    });
  });

  // A replica that took over with less: what a client had not yet got when its connection broke may be gone with the old master.
  test.each([
    ["goes on from a position of the previous epoch", 8, true, 8],
    ["goes on from where the previous epoch was trimmed", 2, false, 3],
  ])("%s, and tells that what followed it there may be lost", (_, offset, recovered, to) => {
    const gap = { from: null, to, code: gaps.epochChanged, epoch: 7 };
    expect(recovery.resume({ epoch: 6, offset }, previous)).toEqual({ recovered, cursor: to, gap });
  });

  test("begins an empty log at 0", () => {
    expect(recovery.resume({ epoch: 7, offset: 0 }, { epoch: 7, top: 0, oldest: 1 })).toEqual(wholeFrom(0));
  });
});

test("a subscriber is sent everything up to the top before live delivery takes over", () => {
  expect(recovery.handover(3, 10)).toBe(10);
});
