/** The ring against an array, and what an array cannot show: that slots are given back. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Ring } from "../../../src/lib/ring.ts";

function contents<T>(ring: Ring<T>): (T | undefined)[] {
  return Array.from({ length: ring.length }, (_, i) => ring.at(i));
}

describe("Ring", () => {
  test("hands values out in the order they came in", () => {
    const ring = new Ring<string>();
    for (const value of ["a", "b", "c"]) ring.push(value);
    expect([ring.shift(), ring.shift(), ring.shift(), ring.shift()]).toEqual(["a", "b", "c", undefined]);
  });

  test("at() counts from the oldest value and knows nothing outside", () => {
    const ring = new Ring<number>();
    for (let i = 0; i < 5; i++) ring.push(i);
    ring.shift();
    expect([ring.at(-1), ring.at(0), ring.at(3), ring.at(4)]).toEqual([undefined, 1, 4, undefined]);
    expect(new Ring<number>().at(0)).toBeUndefined();
  });

  test("clear() leaves an empty ring that works on", () => {
    const ring = new Ring<number>();
    for (let i = 0; i < 9; i++) ring.push(i);
    ring.clear();
    expect(ring.length).toBe(0);
    ring.push(7);
    expect(contents(ring)).toEqual([7]);
  });

  test("behaves as an array through any sequence of pushes and shifts", () => {
    const step = fc.oneof(fc.record({ push: fc.nat(40) }), fc.record({ shift: fc.nat(40) }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const ring = new Ring<number>();
        const model: number[] = [];
        let next = 0;
        for (const one of steps) {
          if ("push" in one) for (let i = 0; i < one.push; i++) ring.push((model.push(next), next++));
          else for (let i = 0; i < one.shift; i++) expect(ring.shift()).toBe(model.shift());
          expect(contents(ring)).toEqual(model);
        }
      }),
    );
  });

  test("keeps no value alive that has left", async () => {
    const ring = new Ring<object>();
    const refs: WeakRef<object>[] = [];
    for (let i = 0; i < 1000; i++) {
      const value = { i };
      refs.push(new WeakRef(value));
      ring.push(value);
    }
    while (ring.length > 1) ring.shift();
    // The collector scans the stack conservatively: a few, or the slots of an outgrown array, may be seen from there for a while.
    const alive = () => refs.filter((ref) => ref.deref()).length;
    for (let round = 0; round < 20 && alive() >= 50; round++) {
      await new Promise<void>((done) => setImmediate(done));
      Bun.gc(true);
    }
    expect(alive()).toBeLessThan(50);
    expect(ring.length).toBe(1);
  });
});
