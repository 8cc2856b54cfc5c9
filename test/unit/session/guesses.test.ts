/** A bucket of failures for each source: what empties it, what fills it, and how many there are. */
import { describe, expect, test } from "bun:test";
import { Guesses } from "../../../src/session/guesses.ts";
import { FakeClock } from "../../harness/clock.ts";

function open(perMinute: number, sourcesMax = 1000) {
  const clock = new FakeClock();
  const sourceOf = (address: string) => (address === "exempt" ? null : address);
  const guesses = new Guesses({ clock, perMinute, sourcesMax, sourceOf });
  return { clock, guesses };
}

describe("Guesses", () => {
  test("lets a source fail so often, then makes it wait for its next failure, and says when that begins", () => {
    const { clock, guesses } = open(3);
    expect([1, 2, 3].map(() => guesses.failed("a"))).toEqual([false, false, true]);
    expect([guesses.waitMs("a"), guesses.waitMs("b")]).toEqual([20_000, 0]);
    clock.advance(19_000);
    expect(guesses.waitMs("a")).toBe(1000);
    clock.advance(1000);
    expect(guesses.waitMs("a")).toBe(0);
    expect(guesses.failed("a")).toBe(true);
    expect(guesses.waitMs("a")).toBe(20_000);
  });

  test("goes on counting where failures come that were begun before", () => {
    const { guesses } = open(2);
    for (let i = 0; i < 10; i++) guesses.failed("a");
    expect(guesses.waitMs("a")).toBe(30_000);
  });

  test("forgets a source once its failures are forgiven, and not before", () => {
    const { clock, guesses } = open(2);
    guesses.failed("a");
    clock.advance(29_999);
    guesses.failed("b");
    expect(guesses.size).toBe(2);
    clock.advance(1000);
    guesses.failed("b");
    expect(guesses.size).toBe(1);
  });

  test("remembers no more sources than its bound; the one that failed longest ago goes first", () => {
    const { clock, guesses } = open(1, 100);
    for (let i = 0; i < 1000; i++) {
      clock.advance(1);
      guesses.failed(`source ${i}`);
      expect(guesses.size).toBeLessThanOrEqual(100);
    }
    expect([guesses.waitMs("source 899"), guesses.waitMs("source 900") > 0]).toEqual([0, true]);
  });

  test("does nothing for exempt addresses, nor where it is off", () => {
    const { guesses } = open(1);
    const off = open(0).guesses;
    for (let i = 0; i < 5; i++) expect([guesses.failed("exempt"), off.failed("a")]).toEqual([false, false]);
    expect([guesses.waitMs("exempt"), off.waitMs("a"), guesses.size, off.size]).toEqual([0, 0, 0, 0]);
  });
});
