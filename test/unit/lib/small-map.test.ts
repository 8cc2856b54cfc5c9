/** The map for one entry and more: it answers as a `Map` does. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { SmallMap } from "../../../src/lib/small-map.ts";

const key = fc.constantFrom("", "a", "b", "c");
const step = fc.oneof(
  fc.record({ do: fc.constant("set" as const), key, value: fc.option(fc.nat(9), { nil: undefined }) }),
  fc.record({ do: fc.constant("delete" as const), key }),
);

test("it holds, finds, lists and forgets what a Map does, in the same order", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const small = new SmallMap<number | undefined>();
      const map = new Map<string, number | undefined>();
      for (const each of steps) {
        if (each.do === "delete") expect(small.delete(each.key)).toBe(map.delete(each.key));
        else {
          small.set(each.key, each.value);
          map.set(each.key, each.value);
        }
        expect(small.size).toBe(map.size);
        expect([...small]).toEqual([...map]);
        expect(small.keys()).toEqual([...map.keys()]);
        expect(small.values()).toEqual([...map.values()]);
        for (const name of ["", "a", "b", "c"]) {
          expect(small.has(name)).toBe(map.has(name));
          expect(small.get(name)).toBe(map.get(name));
        }
      }
    }),
  );
});

test("what is deleted while it is walked through does not disturb the walk", () => {
  const small = new SmallMap<number>();
  for (const name of ["a", "b", "c"]) small.set(name, 1);
  const seen: string[] = [];
  for (const [name] of small) {
    seen.push(name);
    small.delete(name);
  }
  expect(seen).toEqual(["a", "b", "c"]);
  expect(small.size).toBe(0);
});
