/** The feed: what is announced, to whom, and what rides along. */
import { describe, expect, test } from "bun:test";
import type { Batch } from "../../../src/broker/broker.ts";
import { Kit, type OpenBroker, draft, main, numbered, numbers, offsets, roomy, text, texts } from "./kit.ts";

/** Pattern, tags that it takes in, tags that it does not. */
const interests: readonly [pattern: string, heard: readonly string[], unheard: readonly string[]][] = [
  ["a/b", ["a/b"], ["a", "a/b/c", "a/c", "A/b"]],
  ["a/+", ["a/b", "a/"], ["a", "a/b/c", "b/b"]],
  ["a/#", ["a", "a/b", "a/b/c"], ["ab", "b/a"]],
  ["+/b", ["a/b", "/b"], ["$sys/b", "a/c", "b"]],
  ["#", ["a", "a/b/c"], ["$sys", "$sys/a"]],
  ["+", ["a"], ["$sys", "a/b"]],
  ["$sys/#", ["$sys", "$sys/a/b"], ["sys/a", "$other"]],
  ["$sys/+", ["$sys/a"], ["$sys", "$sys/a/b"]],
  ["a/+/c/#", ["a/b/c", "a/b/c/d"], ["a/b", "a/b/d"]],
];

export function feedContract(open: OpenBroker): void {
  describe("feed", () => {
    test("announces what this instance has interest in, whole and in order", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "t");
      await kit.addEach("t", numbered(1, 30));
      await kit.add(
        "t",
        numbered(31, 40).map((one) => draft(one)),
      );
      await kit.feed.until(() => kit.feed.seen("t").length === 40);
      const seen = kit.feed.seen("t");
      expect(texts(seen)).toEqual(numbered(1, 40));
      expect(offsets(seen)).toEqual(numbers(1, 40));
      const page = await kit.page("t");
      expect(seen.map(({ timeMs }) => timeMs)).toEqual(page.messages.map(({ timeMs }) => timeMs));
      expect(kit.feed.events.filter(({ tag }) => tag === "t").every(({ epoch }) => epoch === page.epoch)).toBe(true);
    });

    for (const [pattern, heard, unheard] of interests) {
      test(`announces for ${pattern} what it matches and nothing else`, async () => {
        await using kit = await Kit.open(open);
        // Half of the tags have a log before there is interest: what a log remembers about interest must not be stale.
        for (const tag of [...heard, ...unheard]) if (tag.length % 2 === 0) await kit.add(tag, [draft("before")]);
        await kit.broker.subscribe(main, pattern);
        for (const tag of [...heard, ...unheard]) await kit.add(tag, [draft(`now ${tag}`)]);
        await kit.fence();
        for (const tag of heard) expect(texts(kit.feed.seen(tag))).toEqual([`now ${tag}`]);
        for (const tag of unheard) expect(kit.feed.seen(tag)).toEqual([]);
      });
    }

    test("announces nothing without interest, nor to another application's interest", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe("other", "#");
      await kit.broker.subscribe("other", "t");
      await kit.add("t", [draft("a")]);
      await kit.fence();
      expect(kit.feed.seen("t")).toEqual([]);
      expect(kit.feed.seen("t", "other")).toEqual([]);
    });

    test("stops when interest ends, and goes on while another pattern matches", async () => {
      await using kit = await Kit.open(open);
      for (const pattern of ["a/b", "a/+", "#"]) await kit.broker.subscribe(main, pattern);
      await kit.add("a/b", [draft("three patterns")]);
      await kit.unsubscribe(main, "a/b");
      await kit.add("a/b", [draft("two patterns")]);
      await kit.unsubscribe(main, "#");
      await kit.add("a/b", [draft("one pattern")]);
      await kit.unsubscribe(main, "a/+");
      await kit.add("a/b", [draft("no pattern")]);
      await kit.broker.subscribe(main, "+/b");
      await kit.add("a/b", [draft("another pattern")]);
      await kit.fence();
      expect(texts(kit.feed.seen("a/b"))).toEqual(["three patterns", "two patterns", "one pattern", "another pattern"]);
      expect(offsets(kit.feed.seen("a/b"))).toEqual([1, 2, 3, 5]);
    });

    test("hears of a tag that only the less literal of two patterns matches", async () => {
      await using kit = await Kit.open(open);
      for (const pattern of ["a/b/+/d", "a/+/c", "a/+/+/e", "+/b/c/f/#"]) await kit.broker.subscribe(main, pattern);
      const heard = ["a/b/c/d", "a/b/c", "a/b/c/e", "a/b/c/f", "a/b/c/f/g"];
      const unheard = ["a/b/c/g", "a/b/d", "a/b", "b/b/c", "b/b/c/d"];
      for (const tag of [...heard, ...unheard]) await kit.add(tag, [draft(tag)]);
      await kit.fence();
      expect(heard.flatMap((tag) => texts(kit.feed.seen(tag)))).toEqual(heard);
      expect(unheard.flatMap((tag) => texts(kit.feed.seen(tag)))).toEqual([]);
    });

    test("takes no notice of unsubscribing what was not subscribed to", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "a/+");
      for (const pattern of ["a/b", "a/#", "+/b", "b/c/d", "#"]) await kit.unsubscribe(main, pattern);
      await kit.unsubscribe("nobody", "a/+");
      await kit.add("a/b", [draft("heard")]);
      await kit.fence();
      expect(texts(kit.feed.seen("a/b"))).toEqual(["heard"]);
    });

    test("has a subscription in force when its answer settles, and calls nothing from within it", async () => {
      await using kit = await Kit.open(open);
      await kit.add("t", [draft("before")]);
      const answer = kit.broker.subscribe(main, "t");
      expect(kit.feed.seen("t")).toEqual([]);
      await answer;
      await kit.add("t", [draft("after")]);
      await kit.feed.until(() => kit.feed.seen("t").some((message) => text(message) === "after"));
      expect(texts(kit.feed.seen("t"))).toEqual(["after"]);
    });

    test("names the batch that was given and the draft of each message, leaving out repeated ones", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "#");
      await kit.add("t", [draft("old", "k")]);
      const drafts = [draft("r", "k"), draft("a"), draft("b", "x"), draft("r", "x"), draft("c"), draft("r", "k")];
      const batch: Batch = { app: main, tag: "t", rule: roomy, drafts };
      const other: Batch = { app: main, tag: "u", rule: roomy, drafts: [draft("d")] };
      await kit.append(batch, other);
      await kit.feed.until(() => kit.feed.seen("t").length === 4 && kit.feed.seen("u").length === 1);
      const own = kit.feed.events.filter((event) => event.batch === batch);
      expect(own.flatMap(({ messages }) => texts(messages))).toEqual(["a", "b", "c"]);
      expect(own.flatMap(({ drafts: of }) => of)).toEqual([1, 2, 4]);
      expect(kit.feed.events.find((event) => event.tag === "u")?.batch).toBe(other);
    });

    test("announces nothing for a batch of repeated keys alone", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "t");
      await kit.add("t", [draft("a", "k")]);
      await kit.add("t", [draft("a", "k"), draft("a", "k")]);
      await kit.fence();
      expect(texts(kit.feed.seen("t"))).toEqual(["a"]);
    });

    test("announces a message even where the log is already too small for its batch", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "t");
      const rule = { ...roomy, history: { size: 2 } };
      await kit.add(
        "t",
        numbered(1, 20).map((one) => draft(one)),
        { rule },
      );
      await kit.feed.until(() => kit.feed.seen("t").length === 20);
      expect(texts(kit.feed.seen("t"))).toEqual(numbered(1, 20));
    });
  });
}
