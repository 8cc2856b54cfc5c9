/**
 * What a log keeps and for how long. A broker may keep more than `size` and `bytes` where it trims in lumps, but not
 * without bound; it never keeps less, and never anything older than `ttlMs`.
 */
import { describe, expect, test } from "bun:test";
import type { Page } from "../../../src/broker/broker.ts";
import { Kit, type OpenBroker, draft, keeps, numbered, numbers, offsets, retained, texts } from "./kit.ts";

/** Of 500 messages, what lazy trimming may still hold of a log that needs ten. */
const lumpMax = 250;

function expectNewest(page: Page, top: number): void {
  expect(page.top).toBe(top);
  expect(offsets(page.messages)).toEqual(numbers(page.oldest, top));
  expect(texts(page.messages)).toEqual(numbered(page.oldest, top));
}

export function trimmingContract(open: OpenBroker): void {
  describe("trimming", () => {
    test("keeps at least `size` messages, and not all", async () => {
      await using kit = await Kit.open(open);
      const rule = keeps({ size: 10 });
      await kit.addEach("t", numbered(1, 500), rule);
      const page = await kit.page("t", { rule });
      expectNewest(page, 500);
      expect(page.messages.length).toBeGreaterThanOrEqual(10);
      expect(page.messages.length).toBeLessThanOrEqual(lumpMax);
      expect((await kit.page("t", { rule, after: 3 })).messages[0]?.offset).toBe(page.oldest);
    });

    test("keeps at least what fits into `bytes`, and not all", async () => {
      await using kit = await Kit.open(open);
      const rule = keeps({ size: 10_000, bytes: 1000 });
      await kit.addEach(
        "t",
        numbers(1, 500).map((n) => `${n}`.padStart(100)),
        rule,
      );
      const page = await kit.page("t", { rule });
      expect(offsets(page.messages)).toEqual(numbers(page.oldest, 500));
      expect(page.messages.length).toBeGreaterThanOrEqual(10);
      expect(page.messages.length).toBeLessThanOrEqual(lumpMax);
    });

    test("keeps the newest message even where it is larger than `bytes`", async () => {
      await using kit = await Kit.open(open);
      const rule = keeps({ size: 10, bytes: 20 });
      await kit.addEach("t", ["small", "x".repeat(100)], rule);
      expect((await kit.page("t", { rule })).messages.at(-1)?.bytes.length).toBe(100);
    });

    test("keeps nothing older than `ttlMs`, and the offsets go on", async () => {
      await using kit = await Kit.open(open);
      const rule = keeps({ size: 100, ttlMs: 5000 });
      await kit.addEach("t", numbered(1, 3), rule);
      await kit.clock.advance(3000);
      await kit.addEach("t", numbered(4, 5), rule);
      expectNewest(await kit.page("t", { rule }), 5);
      expect((await kit.page("t", { rule })).oldest).toBe(1);
      await kit.clock.advance(3000);
      const aged = await kit.page("t", { rule });
      expectNewest(aged, 5);
      expect(aged.oldest).toBe(4);
      await kit.clock.advance(3000);
      const gone = await kit.page("t", { rule });
      expect(gone).toMatchObject({ epoch: aged.epoch, top: 5, oldest: 6, messages: [] });
      expect(await kit.add("t", [draft("m6")], { rule })).toEqual([{ epoch: aged.epoch, offset: 6, repeated: false }]);
      expectNewest(await kit.page("t", { rule }), 6);
    });

    test("shows in logs() that all messages of a log have aged away", async () => {
      await using kit = await Kit.open(open);
      const rule = keeps({ size: 100, ttlMs: 5000 });
      await kit.addEach("a/t", numbered(1, 3), rule);
      await kit.clock.advance(6000);
      expect((await kit.broker.logs("main", "a/+", 10)).logs).toMatchObject([{ tag: "a/t", top: 3, oldest: 4 }]);
      expect((await kit.broker.logs("main", "a/t", 10)).logs).toMatchObject([{ tag: "a/t", top: 3, oldest: 4 }]);
    });

    test("counts age by time that passed, not by jumps of the wall clock", async () => {
      await using kit = await Kit.open(open);
      const rule = keeps({ size: 100, ttlMs: 60_000 });
      await kit.addEach("t", numbered(1, 2), rule);
      await kit.clock.jumpWall?.(86_400_000);
      await kit.addEach("t", numbered(3, 4), rule);
      expect((await kit.page("t", { rule })).oldest).toBe(1);
      await kit.clock.jumpWall?.(-2 * 86_400_000);
      await kit.addEach("t", numbered(5, 6), rule);
      expect((await kit.page("t", { rule })).oldest).toBe(1);
      await kit.clock.advance(61_000);
      expect((await kit.page("t", { rule })).oldest).toBe(7);
    });

    test("keeps the last message of a tag that is only retained", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", numbered(1, 500), retained);
      const page = await kit.page("t", { rule: retained });
      expectNewest(page, 500);
      expect(page.messages.length).toBeGreaterThanOrEqual(1);
      expect(page.messages.length).toBeLessThanOrEqual(lumpMax);
    });

    test("follows the rule that comes with each call", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", numbered(1, 5), keeps({ size: 5 }));
      await kit.addEach("t", numbered(6, 40), keeps({ size: 100 }));
      const larger = await kit.page("t", { rule: keeps({ size: 100 }) });
      expectNewest(larger, 40);
      expect(larger.oldest).toBeLessThanOrEqual(2);
      await kit.clock.advance(5000);
      const rule = keeps({ size: 100, ttlMs: 1000 });
      expect(await kit.page("t", { rule })).toMatchObject({ epoch: larger.epoch, top: 40, oldest: 41, messages: [] });
    });
  });
}
