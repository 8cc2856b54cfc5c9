import { expect, test } from "bun:test";
import { Oldest } from "../../../src/lib/oldest.ts";

test("entries are taken from the oldest on, those added anew behind the others, and there is an end", () => {
  const map = new Map(["a", "b", "c"].map((key) => [key, 1]));
  const oldest = new Oldest(() => map.keys());
  const take = () => {
    const key = oldest.take();
    if (key !== undefined) map.delete(key);
    return key;
  };
  expect(take()).toBe("a");
  map.delete("b");
  map.set("b", 2);
  map.set("d", 1);
  expect([take(), take(), take(), take()]).toEqual(["c", "b", "d", undefined]);
  map.set("e", 1);
  expect([take(), take()]).toEqual(["e", undefined]);
});

test("what is taken and left has its turn again after all others", () => {
  const set = new Set([1, 2, 3]);
  const oldest = new Oldest(() => set.values());
  expect([1, 2, 3, 4, 5].map(() => oldest.take())).toEqual([1, 2, 3, 1, 2]);
});

// A new iterator for each took 124 µs: clients that published to ever new tags kept the server busy.
test("making room in a large map costs no more than in a small one", () => {
  const perEntry = (size: number) => {
    const map = new Map(Array.from({ length: size }, (_, i) => [i, i]));
    const oldest = new Oldest(() => map.keys());
    const begunMs = performance.now();
    const count = 60_000;
    for (let i = 0; i < count; i++) {
      map.set(size + i, i);
      map.delete(oldest.take() as number);
    }
    expect(map.size).toBe(size);
    return (performance.now() - begunMs) / count;
  };
  perEntry(1000);
  // A fresh iterator is some thousand times slower.
  expect(perEntry(65_536)).toBeLessThan(100 * perEntry(1000));
});
