/** What the bound of idempotency keys may and may not take, whatever is used in whatever order. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { IdempotencyKeys } from "../../../../src/broker/memory/idempotency.ts";
import { Log } from "../../../../src/broker/memory/log.ts";

const windowMs = 1000;
const idempotencyKeysMax = 12;
const names = Array.from({ length: 30 }, (_, n) => `k${n}`);
const uses = fc.array(fc.tuple(fc.nat(4), fc.constantFrom(...names), fc.constantFrom(0, 0, 0, 30, 400)), {
  maxLength: 200,
  size: "max",
});

test("a key is known for its window, unless there is no room: then a log with about the most keys loses its oldest", () => {
  let early = 0;
  fc.assert(
    fc.property(uses, (list) => {
      const keys = new IdempotencyKeys({ idempotencyWindowMs: windowMs, idempotencyKeysMax });
      const logs = Array.from({ length: 5 }, (_, n) => new Log("main", `t${n}`));
      // For each log when its keys were used, the oldest first.
      const model = new Map(logs.map((log) => [log, new Map<string, number>()]));
      let nowMs = 0;
      let offset = 0;
      for (const [n, key, waitMs] of list) {
        nowMs += waitMs;
        const mine = model.get(logs[n]!)!;
        for (const used of model.values()) {
          for (const [one, usedAtMs] of used) if (nowMs - usedAtMs >= windowMs) used.delete(one);
        }
        for (const [log, used] of model)
          expect(names.filter((one) => keys.find(log, one, nowMs) > 0)).toEqual(sorted(used));
        if (mine.has(key)) continue;
        const forgotten = keys.forgotten;
        const sizes = [...model.values()].map(({ size }) => size);
        keys.add(logs[n]!, key, ++offset, nowMs);
        expect(keys.find(logs[n]!, key, nowMs)).toBe(offset);
        expect(keys.count).toBeLessThanOrEqual(idempotencyKeysMax);
        const lost = [...model].flatMap(([log, used]) => {
          return [...used.keys()].filter((one) => keys.find(log, one, nowMs) === 0).map((one) => ({ used, one }));
        });
        expect(lost.length).toBe(sizes.reduce((sum, size) => sum + size) === idempotencyKeysMax ? 1 : 0);
        expect(keys.forgotten - forgotten).toBe(lost.length);
        early += lost.length;
        for (const { used, one } of lost) {
          expect(one).toBe([...used.keys()][0]!);
          expect(used.size * 2).toBeGreaterThan(Math.max(...sizes));
          used.delete(one);
        }
        mine.set(key, nowMs);
      }
      keys.expire(1000, nowMs + windowMs);
      expect(keys.count).toBe(0);
      expect(logs.every((log) => log.keys === null)).toBe(true);
    }),
    { numRuns: 100 },
  );
  expect(early).toBeGreaterThan(100);
});

function sorted(used: ReadonlyMap<string, number>): string[] {
  return names.filter((one) => used.has(one));
}
