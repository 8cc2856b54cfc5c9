/** Stamping and storing: order, epochs, atomic batches, bytes. */
import { describe, expect, test } from "bun:test";
import { errors } from "../../../src/core/codes.ts";
import { isEpoch } from "../../../src/core/position.ts";
import { liveOnly } from "../../../src/core/tag-rule.ts";
import { Kit, type OpenBroker, draft, main, numbered, numbers, offsets, roomy, texts } from "./kit.ts";

/** Tags that a careless storage key, object or script would confuse. */
const oddTags = [
  "a",
  "a/",
  "/a",
  "a//b",
  "a:b",
  "{a}",
  "{a",
  "a b",
  "ä/ö",
  "__proto__",
  "constructor",
  "a\nb",
  "*",
  "[a-z]",
  "'--",
];

export function appendContract(open: OpenBroker): void {
  describe("append()", () => {
    test("counts offsets from 1 without holes, in one epoch", async () => {
      await using kit = await Kit.open(open);
      const first = await kit.add("t", [draft("a"), draft("b")]);
      const second = await kit.add("t", [draft("c")]);
      expect(offsets([...first, ...second])).toEqual([1, 2, 3]);
      expect(new Set([...first, ...second].map(({ epoch }) => epoch)).size).toBe(1);
      expect(isEpoch(first[0]?.epoch)).toBe(true);
      expect(first.every(({ repeated }) => !repeated)).toBe(true);
    });

    test("answers one by one for the batches of a call, in their order", async () => {
      await using kit = await Kit.open(open);
      await kit.add("b", [draft("earlier")]);
      const batch = (tag: string, n: number) => ({
        app: main,
        tag,
        rule: roomy,
        drafts: numbered(1, n).map((m) => draft(m)),
      });
      const answers = await kit.append(batch("a", 2), batch("b", 1), batch("c", 3));
      expect(answers.map((answer) => offsets(answer.positions ?? []))).toEqual([[1, 2], [2], [1, 2, 3]]);
      expect(await kit.append()).toEqual([]);
    });

    test("keeps two batches of one tag in one call in their order", async () => {
      await using kit = await Kit.open(open);
      const batch = (...list: string[]) => ({
        app: main,
        tag: "t",
        rule: roomy,
        drafts: list.map((one) => draft(one)),
      });
      await kit.append(batch("a", "b"), batch("c"));
      expect(texts((await kit.page("t")).messages)).toEqual(["a", "b", "c"]);
    });

    test("keeps calls in the order in which they were made, answered or not", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", numbered(1, 50));
      const { messages, top } = await kit.page("t");
      expect(texts(messages)).toEqual(numbered(1, 50));
      expect(offsets(messages)).toEqual(numbers(1, 50));
      expect(top).toBe(50);
    });

    test("gives each tag of each application its own log", async () => {
      await using kit = await Kit.open(open);
      await kit.add("t", [draft("main t")]);
      await kit.add("t", [draft("other t")], { app: "other" });
      await kit.add("u", [draft("main u")]);
      expect(texts((await kit.page("t")).messages)).toEqual(["main t"]);
      expect(texts((await kit.page("t", { app: "other" })).messages)).toEqual(["other t"]);
      expect(texts((await kit.page("u")).messages)).toEqual(["main u"]);
      expect((await kit.page("t")).epoch).not.toBe((await kit.page("t", { app: "other" })).epoch);
    });

    test("tells tags with odd names apart", async () => {
      await using kit = await Kit.open(open);
      await Promise.all(oddTags.map((tag) => kit.add(tag, [draft(`for ${tag}`)])));
      for (const tag of oddTags) expect(texts((await kit.page(tag)).messages)).toEqual([`for ${tag}`]);
    });

    test("does not mix an application's name with a tag's", async () => {
      await using kit = await Kit.open(open);
      await kit.add("b/c", [draft("one")], { app: "a" });
      await kit.add("c", [draft("two")], { app: "a/b" });
      expect(texts((await kit.page("b/c", { app: "a" })).messages)).toEqual(["one"]);
      expect(texts((await kit.page("c", { app: "a/b" })).messages)).toEqual(["two"]);
    });

    test("keeps every byte, where the payload ends, and payloads of a megabyte", async () => {
      await using kit = await Kit.open(open);
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const large = new Uint8Array(1 << 20).fill(0xc1);
      await kit.add("t", [
        { body: { bytes, payloadLength: 200 }, key: null },
        { body: { bytes: large, payloadLength: large.length }, key: null },
        { body: { bytes: new Uint8Array([0xc0]), payloadLength: 1 }, key: null },
      ]);
      const { messages } = await kit.page("t");
      expect(messages.map((message) => message.payloadLength)).toEqual([200, 1 << 20, 1]);
      expect(Buffer.compare(messages[0]!.bytes, bytes)).toBe(0);
      expect(Buffer.compare(messages[1]!.bytes, large)).toBe(0);
      expect([...messages[2]!.bytes]).toEqual([0xc0]);
    });

    test("refuses a batch whose rule gives no log, and that batch alone", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "#");
      const [refused, taken] = await kit.append(
        { app: main, tag: "live", rule: liveOnly, drafts: [draft("a")] },
        { app: main, tag: "kept", rule: roomy, drafts: [draft("b")] },
      );
      expect(refused?.error).toEqual(errors.noHistory);
      expect(offsets(taken?.positions ?? [])).toEqual([1]);
      await kit.fence();
      expect(kit.feed.seen("live")).toEqual([]);
    });

    test("stamps times that never go back within a log, whatever the wall clock does", async () => {
      await using kit = await Kit.open(open);
      const hourMs = 3_600_000;
      for (const jumpMs of [0, hourMs, -3 * hourMs, 24 * hourMs, -hourMs]) {
        await kit.clock.jumpWall?.(jumpMs);
        await kit.clock.advance(5);
        await kit.add("t", [draft("a"), draft("b")]);
      }
      const { messages } = await kit.page("t");
      const times = messages.map(({ timeMs }) => timeMs);
      expect(offsets(messages)).toEqual(numbers(1, 10));
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(times[0]).toBeGreaterThan(0);
    });
  });
}
