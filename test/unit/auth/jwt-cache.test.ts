/** The cache of verified JWTs: bounded in number, age and by each token's own end. */
import { expect, test } from "bun:test";
import { JwtCache, cachedJwtMs } from "../../../src/auth/jwt-cache.ts";
import { FakeClock } from "../../harness/clock.ts";

const verified = (exp: number) => ({ app: "main", claims: { sub: "s", exp, grants: {}, deny: {} } });
const far = 9_000_000_000;

test("JwtCache gives back what it was given", () => {
  const cache = new JwtCache(new FakeClock());
  const entry = verified(far);
  cache.add("a", entry);
  expect(cache.get("a")).toBe(entry);
  expect(cache.get("b")).toBeNull();
});

test("JwtCache drops the oldest beyond its bound", () => {
  const cache = new JwtCache(new FakeClock(), 2);
  for (const hash of ["a", "b", "a", "c"]) cache.add(hash, verified(far));
  expect([cache.get("b"), cache.size]).toEqual([null, 2]);
  expect(cache.get("a")).not.toBeNull();
});

test("JwtCache forgets at the token's exp, also when the wall clock jumps there", () => {
  const clock = new FakeClock(1_000_000);
  const cache = new JwtCache(clock);
  cache.add("a", verified(1001));
  clock.jumpWall(999);
  expect(cache.get("a")).not.toBeNull();
  clock.jumpWall(1);
  expect(cache.get("a")).toBeNull();
  expect(cache.size).toBe(0);
});

test("JwtCache forgets after a while, so that a withdrawn key ends", () => {
  const clock = new FakeClock();
  const cache = new JwtCache(clock);
  cache.add("a", verified(far));
  clock.advance(cachedJwtMs - 1);
  expect(cache.get("a")).not.toBeNull();
  clock.advance(1);
  expect(cache.get("a")).toBeNull();
});
