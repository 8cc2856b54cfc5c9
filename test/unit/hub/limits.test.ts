import { describe, expect, test } from "bun:test";
import type { SharedCounts } from "../../../src/core/shared.ts";
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

  test("are counted together whatever the token, if the subject of the JWTs is one", () => {
    const counts = new ConnectionCounts();
    const jwt = { ...identity, tokenId: "jwt:1" };
    expect(counts.same(jwt, { ...jwt, tokenId: "jwt:2" })).toBe(true);
    expect(counts.same(jwt, { ...jwt, tokenId: "two" })).toBe(false);
    expect(counts.same(identity, { ...identity, subject: "renamed" })).toBe(true);
  });
});

/** What the other instances are told, and what they answer. */
class Others implements SharedCounts {
  readonly told: (readonly [string, number])[] = [];
  readonly asked: PromiseWithResolvers<boolean>[] = [];
  recount: () => Iterable<readonly [string, number]> = () => [];

  acquire(): Promise<boolean> {
    const asked = Promise.withResolvers<boolean>();
    this.asked.push(asked);
    return asked.promise;
  }

  add(key: string, count: number): void {
    this.told.push([key, count]);
  }

  onRecount(counts: () => Iterable<readonly [string, number]>): void {
    this.recount = counts;
  }
}

describe("Connection counts with other instances", () => {
  const bounded = { ...identity, connectionsMax: 2 };
  const key = `${identity.app}\0${identity.tokenId}`;

  test("ask them only where there is a bound that is not reached here", async () => {
    const others = new Others();
    const counts = new ConnectionCounts(others);
    expect(counts.acquire(identity)).toBe(true);
    const answers = [counts.acquire(bounded), counts.acquire(bounded)];
    expect([others.asked.length, answers[1]]).toEqual([1, false]);
    others.asked[0]?.resolve(true);
    expect(await answers[0]).toBe(true);
    expect([...others.recount()]).toEqual([[key, 1]]);
  });

  test("forget the connection that they have no place for, and do not take it back from them", async () => {
    const others = new Others();
    const counts = new ConnectionCounts(others);
    const answer = counts.acquire(bounded);
    expect([...others.recount()]).toEqual([[key, 1]]);
    others.asked[0]?.resolve(false);
    expect(await answer).toBe(false);
    expect([[...others.recount()], others.told]).toEqual([[], []]);
  });

  test("tell them when a connection goes, and when its token gets or loses its bound", () => {
    const others = new Others();
    const counts = new ConnectionCounts(others);
    expect(counts.acquire(identity)).toBe(true);
    counts.changed(identity, bounded);
    counts.changed(bounded, { ...bounded, connectionsMax: 5 });
    expect([...others.recount()]).toEqual([[key, 1]]);
    counts.release(bounded);
    expect(counts.acquire(identity)).toBe(true);
    counts.release(identity);
    expect(others.told).toEqual([
      [key, 1],
      [key, -1],
    ]);
    expect([...others.recount()]).toEqual([]);
  });
});
