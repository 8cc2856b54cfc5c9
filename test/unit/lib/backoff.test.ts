import { expect, test } from "bun:test";
import { Backoff } from "../../../src/lib/backoff.ts";

test("the bound of a delay doubles until it reaches the maximum", () => {
  const backoff = new Backoff({ minMs: 500, maxMs: 3000, random: () => 0.999_999 });
  expect([1, 2, 3, 4, 5].map(() => backoff.nextMs())).toEqual([499, 999, 1999, 2999, 2999]);
  expect(backoff.attempts).toBe(5);
});

test("a delay is anywhere between nothing and its bound", () => {
  const randoms = [0, 0.5, 0.25];
  const backoff = new Backoff({ minMs: 100, maxMs: 1000, random: () => randoms.shift() ?? 0 });
  expect([backoff.nextMs(), backoff.nextMs(), backoff.nextMs()]).toEqual([0, 100, 100]);
});

test("after a success delays begin short again", () => {
  const backoff = new Backoff({ minMs: 100, maxMs: 1000, random: () => 0.5 });
  for (let i = 0; i < 10; i++) backoff.nextMs();
  backoff.reset();
  expect(backoff.nextMs()).toBe(50);
});

test("a thousand failures do not lead beyond the maximum", () => {
  const backoff = new Backoff({ minMs: 500, maxMs: 20_000, random: () => 1 });
  for (let i = 0; i < 1000; i++) expect(backoff.nextMs()).toBeLessThanOrEqual(20_000);
});
