/** Reading logs: pages, positions, and which logs there are. */
import { describe, expect, test } from "bun:test";
import type { Stored } from "../../../src/broker/broker.ts";
import { isEpoch } from "../../../src/core/position.ts";
import { Kit, type OpenBroker, draft, everything, main, numbered, numbers, offsets, texts } from "./kit.ts";

export function historyContract(open: OpenBroker): void {
  describe("history()", () => {
    test("gives an empty tag an epoch that its first message keeps", async () => {
      await using kit = await Kit.open(open);
      const empty = await kit.page("t");
      expect(isEpoch(empty.epoch)).toBe(true);
      expect({ ...empty, epoch: 0 }).toMatchObject({ top: 0, oldest: 1, messages: [] });
      expect((await kit.page("t")).epoch).toBe(empty.epoch);
      const [position] = await kit.add("t", [draft("a")]);
      expect(position).toEqual({ epoch: empty.epoch, offset: 1, repeated: false });
      expect((await kit.page("t")).epoch).toBe(empty.epoch);
    });

    test("returns what comes after an offset, and nothing from the top on", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", numbered(1, 5));
      for (const after of [0, 1, 4, 5, 6, 1000, Number.MAX_SAFE_INTEGER]) {
        const page = await kit.page("t", { after });
        expect(texts(page.messages)).toEqual(after < 5 ? numbered(after + 1, 5) : []);
        expect([page.top, page.oldest]).toEqual([5, 1]);
      }
    });

    test("bounds a page by number, and reads the position alone with number 0", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", numbered(1, 10));
      const read = async (after: number, count: number) =>
        (await kit.page("t", { after, limits: { ...everything, count } })).messages;
      expect(offsets(await read(0, 3))).toEqual([1, 2, 3]);
      expect(offsets(await read(8, 3))).toEqual([9, 10]);
      expect(offsets(await read(0, 10))).toEqual(numbers(1, 10));
      const position = await kit.page("t", { limits: { ...everything, count: 0 } });
      expect(position.messages).toEqual([]);
      expect([position.top, position.oldest]).toEqual([10, 1]);
    });

    test("bounds a page by bytes, with one message at least", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", ["a".repeat(10), "b".repeat(10), "c".repeat(100), "d"]);
      const read = async (after: number, bytes: number) =>
        (await kit.page("t", { after, limits: { ...everything, bytes } })).messages;
      expect(offsets(await read(0, 20))).toEqual([1, 2]);
      expect(offsets(await read(0, 19))).toEqual([1]);
      expect(offsets(await read(0, 0))).toEqual([1]);
      expect(offsets(await read(2, 50))).toEqual([3]);
      expect(offsets(await read(2, 101))).toEqual([3, 4]);
    });

    test("hands a whole log out in pages of any size", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", numbered(1, 100));
      for (const limits of [
        { count: 7, bytes: 1000 },
        { count: 1000, bytes: 10 },
        { count: 3, bytes: 5 },
      ]) {
        const read: Stored[] = [];
        for (;;) {
          const page = await kit.page("t", { after: read.at(-1)?.offset ?? 0, limits });
          expect(page.messages.length).toBeLessThanOrEqual(limits.count);
          if (page.messages.length === 0) break;
          read.push(...page.messages);
        }
        expect(texts(read)).toEqual(numbered(1, 100));
      }
    });

    test("leaves earlier pages as they were when more is appended", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", numbered(1, 3));
      const page = await kit.page("t");
      await kit.addEach("t", numbered(4, 6));
      expect(texts(page.messages)).toEqual(numbered(1, 3));
      expect(page.top).toBe(3);
    });
  });

  describe("logs()", () => {
    test("finds the tags with messages that a pattern matches, with their positions", async () => {
      await using kit = await Kit.open(open);
      const tags = ["a", "a/b", "a/b/c", "a/c", "ab", "b", "$sys", "$sys/a"];
      for (const tag of tags) await kit.add(tag, [draft("1"), draft(tag)]);
      await kit.add("a/x", [draft("elsewhere")], { app: "other" });
      const found = async (pattern: string) => {
        const { logs, more } = await kit.broker.logs(main, pattern, 100);
        expect(more).toBe(false);
        for (const { tag, ...position } of logs) expect(await kit.page(tag)).toMatchObject(position);
        return logs.map(({ tag }) => tag).toSorted();
      };
      expect(await found("#")).toEqual(["a", "a/b", "a/b/c", "a/c", "ab", "b"]);
      expect(await found("+")).toEqual(["a", "ab", "b"]);
      expect(await found("a/#")).toEqual(["a", "a/b", "a/b/c", "a/c"]);
      expect(await found("a/+")).toEqual(["a/b", "a/c"]);
      expect(await found("+/b/#")).toEqual(["a/b", "a/b/c"]);
      expect(await found("$sys/#")).toEqual(["$sys", "$sys/a"]);
      expect(await found("a/b")).toEqual(["a/b"]);
      expect(await found("nothing/#")).toEqual([]);
      expect(await found("a/x")).toEqual([]);
    });

    test("leaves out a tag that was only asked for", async () => {
      await using kit = await Kit.open(open);
      await kit.page("a/asked");
      await kit.add("a/told", [draft("x")]);
      expect((await kit.broker.logs(main, "a/#", 10)).logs.map(({ tag }) => tag)).toEqual(["a/told"]);
      expect((await kit.broker.logs(main, "a/asked", 10)).logs).toEqual([]);
    });

    test("says when there are more than the limit, and only then", async () => {
      await using kit = await Kit.open(open);
      await Promise.all(numbers(1, 20).map((n) => kit.add(`a/${n}`, [draft("x")])));
      await kit.add("b", [draft("x")]);
      const read = async (limit: number) => {
        const { logs, more } = await kit.broker.logs(main, "a/+", limit);
        return [new Set(logs.map(({ tag }) => tag)).size, more];
      };
      expect(await read(20)).toEqual([20, false]);
      expect(await read(19)).toEqual([19, true]);
      expect(await read(1)).toEqual([1, true]);
      expect(await read(21)).toEqual([20, false]);
    });
  });
}
