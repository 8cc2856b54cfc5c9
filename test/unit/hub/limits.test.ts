import { describe, expect, test } from "bun:test";
import { ConnectionCounts } from "../../../src/hub/limits.ts";
import { identity } from "./support.ts";

describe("Connection counts", () => {
  const bounded = { ...identity, connectionsMax: 2 };

  test("refuse the connection over the bound, and take one again when another has gone", () => {
    const counts = new ConnectionCounts();
    expect([counts.acquire(bounded), counts.acquire(bounded), counts.acquire(bounded)]).toEqual([true, true, false]);
    counts.release(bounded);
    expect([counts.acquire(bounded), counts.acquire(bounded)]).toEqual([true, false]);
  });

  test("are kept apart by token and by application", () => {
    const counts = new ConnectionCounts();
    const single = { ...identity, connectionsMax: 1 };
    expect(counts.acquire(single)).toBe(true);
    expect(counts.acquire({ ...single, tokenId: "other" })).toBe(true);
    expect(counts.acquire({ ...single, app: "other" })).toBe(true);
    expect(counts.acquire(single)).toBe(false);
  });

  test("of JWTs go by their subject, since each reissue is another token", () => {
    const counts = new ConnectionCounts();
    const jwt = { ...identity, connectionsMax: 1, tokenId: "jwt:1" };
    expect(counts.acquire(jwt)).toBe(true);
    expect(counts.acquire({ ...jwt, tokenId: "jwt:2" })).toBe(false);
    expect(counts.acquire({ ...jwt, tokenId: "jwt:2", subject: "other" })).toBe(true);
  });

  test("move with a connection that changes its token, or stay where the new one is full", () => {
    const counts = new ConnectionCounts();
    const one = { ...identity, connectionsMax: 1 };
    const two = { ...one, tokenId: "two" };
    counts.acquire(one);
    expect(counts.transfer(one, two)).toBe(true);
    expect(counts.acquire(one)).toBe(true);
    expect(counts.transfer(one, two)).toBe(false);
    expect(counts.acquire(one)).toBe(false);
    expect(counts.transfer(one, { ...one, subject: "renamed" })).toBe(true);
  });
});
