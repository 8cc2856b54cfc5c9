/** What the bench says about lost, doubled and reordered messages. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Arrivals } from "../../../bench/load/tally.ts";

function counted(sequences: readonly number[], receiver = 0, stream = 0) {
  const arrivals = new Arrivals(2, 3);
  for (const sequence of sequences) expect(arrivals.arrived(receiver, stream, sequence)).toBe(true);
  const { delivered, doubled, reordered } = arrivals;
  return { delivered, doubled, reordered };
}

describe("Arrivals", () => {
  test("counts what comes in order", () => {
    expect(counted([1, 2, 3])).toEqual({ delivered: 3, doubled: 0, reordered: 0 });
  });

  test("does not count what is missing, at the beginning and within", () => {
    expect(counted([2, 5, 6])).toEqual({ delivered: 3, doubled: 0, reordered: 0 });
  });

  test("tells a message that comes late from one that comes twice", () => {
    expect(counted([1, 4, 2, 3])).toEqual({ delivered: 4, doubled: 0, reordered: 2 });
    expect(counted([1, 2, 3, 2])).toEqual({ delivered: 3, doubled: 1, reordered: 0 });
    expect(counted([1, 4, 2, 2])).toEqual({ delivered: 3, doubled: 1, reordered: 1 });
  });

  test("finds exactly what a plain list of all arrivals would, whatever comes", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 60 }), (sequences) => {
        const seen = new Set<number>();
        let highest = 0;
        let doubled = 0;
        let reordered = 0;
        for (const sequence of sequences) {
          if (seen.has(sequence)) doubled++;
          else if (sequence < highest) reordered++;
          seen.add(sequence);
          highest = Math.max(highest, sequence);
        }
        expect(counted(sequences, 1, 2)).toEqual({ delivered: seen.size, doubled, reordered });
      }),
    );
  });

  test("keeps receivers and streams apart", () => {
    const arrivals = new Arrivals(2, 2);
    for (const receiver of [0, 1]) for (const stream of [0, 1]) arrivals.arrived(receiver, stream, 1);
    expect(arrivals.delivered).toBe(4);
    expect(arrivals.doubled).toBe(0);
  });

  test("refuses numbers that were never published", () => {
    const arrivals = new Arrivals(2, 2);
    expect(arrivals.arrived(0, 2, 1)).toBe(false);
    expect(arrivals.arrived(2, 0, 1)).toBe(false);
    expect(arrivals.arrived(0, 0, 0)).toBe(false);
    expect(arrivals.delivered).toBe(0);
  });

  test("counts a stream that loses every other message without keeping every hole", () => {
    const arrivals = new Arrivals(1, 1);
    for (let sequence = 2; sequence <= 20_000; sequence += 2) arrivals.arrived(0, 0, sequence);
    expect(arrivals.delivered).toBe(10_000);
    expect(arrivals.doubled).toBe(0);
  });
});
