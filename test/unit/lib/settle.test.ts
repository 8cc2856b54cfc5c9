import { describe, expect, test } from "bun:test";
import { settling } from "../../../src/lib/settle.ts";

describe("An answer", () => {
  test("that is a value is dealt with at once, and a fault in that reaches whoever asked", () => {
    const settle = settling(() => expect.unreachable());
    let value = 0;
    settle(
      1,
      (one) => void (value = one),
      () => expect.unreachable(),
    );
    expect(value).toBe(1);
    expect(() =>
      settle(
        1,
        () => {
          throw new Error("fault");
        },
        () => expect.unreachable(),
      ),
    ).toThrow("fault");
  });

  test("that comes later ends in one of both ways, and what that throws is told", async () => {
    const told: unknown[] = [];
    const settle = settling((error) => void told.push(error));
    const throws = (what: string) => () => {
      throw new Error(what);
    };
    settle(Promise.resolve(1), throws("done"), throws("never"));
    settle(Promise.reject(new Error("away")), throws("never"), throws("failed"));
    for (let i = 0; i < 5; i++) await Promise.resolve();
    expect(told.map((error) => (error as Error).message)).toEqual(["done", "failed"]);
  });
});
