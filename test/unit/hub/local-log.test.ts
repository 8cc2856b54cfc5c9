import { describe, expect, test } from "bun:test";
import type { Stored } from "../../../src/broker/broker.ts";
import { LocalLog, Tail, tailsBytesMax } from "../../../src/hub/local-log.ts";

function stored(offset: number, length = 1): Stored {
  return { offset, bytes: new Uint8Array(length), payloadLength: length, timeMs: 0 };
}

describe("A tail", () => {
  test("has what came since it began, by offset", () => {
    const tail = new Tail(5, { bytes: 0 });
    expect([tail.reaches(4), tail.reaches(5), tail.at(6)]).toEqual([false, true, null]);
    for (const offset of [6, 7]) tail.push(stored(offset));
    expect([tail.at(5), tail.at(6)?.offset, tail.at(7)?.offset, tail.at(8)]).toEqual([null, 6, 7, null]);
  });

  test("forgets the oldest beyond 1 MiB, and never the newest", () => {
    const tail = new Tail(0, { bytes: 0 });
    for (let offset = 1; offset <= 5000; offset++) tail.push(stored(offset, 1000));
    expect(tail.start).toBe(5000 - Math.floor((1024 * 1024) / 1000) + 1);
    expect([tail.reaches(tail.start - 2), tail.reaches(tail.start - 1)]).toEqual([false, true]);
    expect([tail.at(tail.start)?.offset, tail.at(5000)?.offset]).toEqual([tail.start, 5000]);
    tail.push(stored(5001, 2 * 1024 * 1024));
    expect([tail.start, tail.at(5001)?.offset]).toEqual([5001, 5001]);
  });

  // 300 tags behind one slow subscriber to a wildcard kept 258 MiB that no bound covered.
  test("begins anew where all tails together hold what they may", () => {
    const budget = { bytes: tailsBytesMax - 2500 };
    const tail = new Tail(0, budget);
    for (let offset = 1; offset <= 2; offset++) tail.push(stored(offset, 1000));
    expect(tail.reaches(0)).toBe(true);
    tail.push(stored(3, 1000));
    expect([tail.reaches(2), tail.reaches(3), budget.bytes]).toEqual([false, true, tailsBytesMax - 2500]);
  });

  test("begins anew where a log jumps", () => {
    const tail = new Tail(0, { bytes: 0 });
    tail.push(stored(1));
    tail.reset(9);
    tail.push(stored(10));
    expect([tail.reaches(8), tail.at(10)?.offset]).toEqual([false, 10]);
  });
});

describe("A local log", () => {
  test("keeps a tail for as long as somebody lags behind", () => {
    const budget = { bytes: 0 };
    const log = new LocalLog("live", 1, 3);
    log.advance(stored(4));
    expect([log.tail, log.busy]).toEqual([null, false]);
    log.attach(budget);
    log.attach(budget);
    log.advance(stored(5));
    log.detach();
    expect([log.top, log.tail?.at(5)?.offset, log.busy]).toEqual([5, 5, true]);
    log.detach();
    expect([log.tail, log.busy, budget.bytes]).toEqual([null, false, 0]);
  });

  test("is not to be forgotten while it is being read", () => {
    expect([new LocalLog("opening", 0, 0).busy, new LocalLog("repairing", 1, 1).busy]).toEqual([true, true]);
  });
});
