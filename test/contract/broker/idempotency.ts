/** Idempotency keys: once within the window, per application and tag. */
import { describe, expect, test } from "bun:test";
import { Kit, type OpenBroker, draft, keeps, main, numbered, numbers, roomy, texts, windowMs } from "./kit.ts";

export function idempotencyContract(open: OpenBroker): void {
  describe("idempotency key", () => {
    test("gives a repeated publish the first one's position and stores nothing", async () => {
      await using kit = await Kit.open(open);
      const [first] = await kit.add("t", [draft("a", "k")]);
      await kit.add("t", [draft("b")]);
      expect(await kit.add("t", [draft("again", "k")])).toEqual([{ ...first!, repeated: true }]);
      expect(texts((await kit.page("t")).messages)).toEqual(["a", "b"]);
    });

    test("counts once within one batch, and over the batches of one call", async () => {
      await using kit = await Kit.open(open);
      const drafts = [draft("a", "k"), draft("b"), draft("a again", "k"), draft("c", "l")];
      const batches = [drafts, [draft("l again", "l"), draft("d")]].map((list) => ({
        app: main,
        tag: "t",
        rule: roomy,
        drafts: list,
      }));
      const [first, second] = await kit.append(...batches);
      expect(first?.positions?.map(({ offset, repeated }) => [offset, repeated])).toEqual([
        [1, false],
        [2, false],
        [1, true],
        [3, false],
      ]);
      expect(second?.positions?.map(({ offset, repeated }) => [offset, repeated])).toEqual([
        [3, true],
        [4, false],
      ]);
      expect(texts((await kit.page("t")).messages)).toEqual(["a", "b", "c", "d"]);
    });

    test("is taken once by calls that overlap", async () => {
      await using kit = await Kit.open(open);
      const answers = await Promise.all(numbers(1, 20).map((n) => kit.add("t", [draft(`m${n}`, "k")])));
      expect(answers.map(([position]) => position?.offset)).toEqual(numbers(1, 20).map(() => 1));
      expect(answers.filter(([position]) => position?.repeated === false).length).toBe(1);
      expect((await kit.page("t")).top).toBe(1);
    });

    test("belongs to one tag of one application", async () => {
      await using kit = await Kit.open(open);
      await kit.add("t", [draft("a", "k")]);
      const [tag] = await kit.add("u", [draft("b", "k")]);
      const [app] = await kit.add("t", [draft("c", "k")], { app: "other" });
      expect([tag?.repeated, app?.repeated]).toEqual([false, false]);
      expect(texts((await kit.page("t", { app: "other" })).messages)).toEqual(["c"]);
    });

    test("is compared as a whole, and null is none", async () => {
      await using kit = await Kit.open(open);
      const keys = ["", "k", "K", "k ", " k", "k\0", "k:1", "kk", "\u00e4", "a\u0308", "__proto__", "0", "{k}"];
      await kit.add("t", [...keys.map((key) => draft("x", key)), draft("y"), draft("y")]);
      const again = await kit.add("t", [...keys.map((key) => draft("x", key)), draft("y")]);
      expect(again.map(({ offset }) => offset)).toEqual([...numbers(1, keys.length), keys.length + 3]);
    });

    test("is forgotten when its window is over, counted from its first use", async () => {
      await using kit = await Kit.open(open);
      await kit.add("t", [draft("a", "k")]);
      await kit.clock.advance(windowMs * 0.7);
      expect(await kit.add("t", [draft("b", "k")])).toMatchObject([{ offset: 1, repeated: true }]);
      await kit.clock.advance(windowMs * 0.4);
      expect(await kit.add("t", [draft("c", "k")])).toMatchObject([{ offset: 2, repeated: false }]);
      await kit.clock.advance(windowMs * 0.7);
      expect(await kit.add("t", [draft("d", "k")])).toMatchObject([{ offset: 2, repeated: true }]);
      await kit.clock.advance(windowMs * 3);
      expect(await kit.add("t", [draft("e", "k"), draft("f", "k")])).toMatchObject([
        { offset: 3, repeated: false },
        { offset: 3, repeated: true },
      ]);
      expect(texts((await kit.page("t")).messages)).toEqual(["a", "c", "e"]);
    });

    test("keeps its window whatever the wall clock does", async () => {
      await using kit = await Kit.open(open);
      await kit.add("t", [draft("a", "k")]);
      for (const jumpMs of [86_400_000, -3 * 86_400_000]) {
        await kit.clock.jumpWall?.(jumpMs);
        expect(await kit.add("t", [draft("b", "k")])).toMatchObject([{ offset: 1, repeated: true }]);
      }
      await kit.clock.advance(windowMs * 1.1);
      expect(await kit.add("t", [draft("c", "k")])).toMatchObject([{ offset: 2, repeated: false }]);
    });

    test("still answers when its message is no longer in the log", async () => {
      await using kit = await Kit.open(open);
      const rule = keeps({ size: 1, ttlMs: windowMs / 10 });
      const [first] = await kit.add("t", [draft("a", "k")], { rule });
      await kit.addEach("t", numbered(1, 300), rule);
      await kit.clock.advance(windowMs / 5);
      expect((await kit.page("t", { rule })).messages).toEqual([]);
      expect(await kit.add("t", [draft("a", "k")], { rule })).toEqual([{ ...first!, repeated: true }]);
    });
  });
}
