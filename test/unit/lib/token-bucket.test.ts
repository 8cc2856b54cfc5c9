/** `lib/token-bucket.ts`: what may be spent over any time is the burst and what has come in. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { TokenBucket } from "../../../src/lib/token-bucket.ts";

test("a bucket starts full, fills with time and never above its burst", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, 1000);
  expect(bucket.level).toBe(20);
  bucket.level -= 15;
  bucket.refill(1500);
  expect(bucket.level).toBe(10);
  bucket.refill(60_000);
  expect(bucket.level).toBe(20);
});

test("what is owed is told as the time until it is not, and is never more than the burst", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, 0);
  bucket.level -= 35;
  expect([bucket.waitMs(0), bucket.waitMs(1)]).toEqual([1500, 1600]);
  bucket.refill(1500);
  expect([bucket.level, bucket.waitMs(0)]).toEqual([0, 0]);
  bucket.level -= 1000;
  bucket.refill(1500);
  expect(bucket.waitMs(0)).toBe(2000);
});

test("without bound there is always as much as anybody wants", () => {
  const bucket = new TokenBucket({ perSecond: Infinity, burst: Infinity }, 0);
  bucket.level -= 1e12;
  bucket.refill(0);
  expect([bucket.level, bucket.waitMs(1e12)]).toEqual([Infinity, 0]);
});

test("time that goes backwards adds and takes nothing", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, 5000);
  bucket.level = 0;
  bucket.refill(1000);
  bucket.refill(5100);
  expect(bucket.level).toBe(1);
});

test("whoever spends only what is there never gets more than burst and rate allow", () => {
  const step = fc.record({ ms: fc.nat({ max: 2000 }), wish: fc.nat({ max: 50 }) });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(step),
      (rate, burst, steps) => {
        const bucket = new TokenBucket({ perSecond: rate, burst }, 0);
        let nowMs = 0;
        let spent = 0;
        for (const { ms, wish } of steps) {
          bucket.refill((nowMs += ms));
          const got = Math.min(wish, Math.floor(bucket.level));
          bucket.level -= got;
          spent += got;
          expect(spent).toBeLessThanOrEqual(burst + (rate * nowMs) / 1000 + 1e-6);
        }
      },
    ),
  );
});
