import { expect, test } from "bun:test";
import { type Crowded, Matches } from "../../../src/hub/matches.ts";

class Tag implements Crowded {
  known = 0;

  forgetMatches(): number {
    const { known } = this;
    this.known = 0;
    return known;
  }

  match(matches: Matches, now: number): void {
    const before = this.known;
    this.known = now;
    matches.note(this, before, now);
  }
}

test("what is remembered of tags that several topics match is bounded: those matched longest ago are forgotten", () => {
  const matches = new Matches(10);
  const [a, b, c] = [new Tag(), new Tag(), new Tag()];
  a.match(matches, 4);
  b.match(matches, 4);
  a.match(matches, 5);
  expect(matches.count).toBe(9);
  c.match(matches, 3);
  expect([a.known, b.known, c.known, matches.count]).toEqual([5, 0, 3, 8]);
  // One alone may have more than all.
  b.match(matches, 20);
  expect([a.known, b.known, c.known, matches.count]).toEqual([0, 20, 0, 20]);
  b.match(matches, 1);
  expect(matches.count).toBe(0);
  a.match(matches, 2);
  matches.drop(a);
  matches.drop(a);
  expect([a.known, matches.count]).toEqual([0, 0]);
});

test("tags that one topic matches are not counted", () => {
  const matches = new Matches(1);
  for (let i = 0; i < 10; i++) new Tag().match(matches, 1);
  expect(matches.count).toBe(0);
});
