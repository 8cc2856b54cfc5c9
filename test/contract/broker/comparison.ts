/** What logs are compared by, of brokers whose feed may lose messages. */
import { describe, expect, test } from "bun:test";
import type { Comparison } from "../../../src/broker/broker.ts";
import { Kit, type OpenBroker, draft, main } from "./kit.ts";

/** Far longer than a test takes. */
const withinMs = 60_000;

function comparisonOf({ broker }: Kit): Comparison {
  if (broker.comparison === undefined) throw new Error("This broker has no comparison");
  return broker.comparison;
}

/** Appends one message to each tag, and some more to the first; what the answers say of each log. */
async function fill(kit: Kit, tags: readonly string[]) {
  const tops: { tag: string; epoch: number; top: number }[] = [];
  for (const [i, tag] of tags.entries()) {
    const answers = await kit.add(tag, i === 0 ? [draft("a"), draft("b"), draft("c")] : [draft("a")]);
    const { epoch, offset } = answers.at(-1)!;
    tops.push({ tag, epoch, top: offset });
  }
  return tops;
}

export function comparisonContract(name: string, open: OpenBroker): void {
  describe(`${name} compares logs:`, () => {
    test("tops are those of the tags asked for, in their order, whatever their rule holds", async () => {
      await using kit = await Kit.open(open);
      const [a, b] = await fill(kit, ["x/a", "y"]);
      const tops = await comparisonOf(kit).tops(main, ["y", "none", "x/a", "x", "y"]);
      const found = tops.map((top) => top && { epoch: top.epoch, top: top.top });
      const [atA, atB] = [a!, b!].map(({ epoch, top }) => ({ epoch, top }));
      expect(found).toEqual([atB!, null, atA!, null, atB!]);
      expect(await comparisonOf(kit).tops(main, [])).toEqual([]);
      expect(await comparisonOf(kit).tops("other", ["y"])).toEqual([null]);
    });

    test("tops of as many tags as may be asked for at once", async () => {
      await using kit = await Kit.open(open);
      const tags = Array.from({ length: 512 }, (_, i) => `${i % 7}/${i}`);
      const filled = await fill(kit, tags.slice(0, 300));
      const tops = await comparisonOf(kit).tops(main, tags);
      expect(tops.slice(0, 300).map((top) => top?.epoch)).toEqual(filled.map(({ epoch }) => epoch));
      expect(tops.slice(300).every((top) => top === null)).toBe(true);
    });

    test("asking for tops makes no log", async () => {
      await using kit = await Kit.open(open);
      await comparisonOf(kit).tops(main, ["t"]);
      expect(await comparisonOf(kit).tops(main, ["t"])).toEqual([null]);
      expect((await kit.broker.logs(main, "t", 1)).logs).toEqual([]);
    });

    test("what has changed has each log appended to, as it is now, and those of one application alone", async () => {
      await using kit = await Kit.open(open);
      await fill(kit, ["x/a", "x/b", "y"]);
      const [again] = await fill(kit, ["x/b"]);
      await kit.add("z", [draft("a")], { app: "other" });
      const { logs, more } = await comparisonOf(kit).changed(main, withinMs, 100);
      expect([logs.map(({ tag }) => tag).toSorted(), more]).toEqual([["x/a", "x/b", "y"], false]);
      expect(logs.find(({ tag }) => tag === "x/b")).toMatchObject({ ...again!, top: 4 });
    });

    test("what has changed is bounded, and says so", async () => {
      await using kit = await Kit.open(open);
      await fill(kit, ["x/a", "x/b", "y", "z"]);
      const { logs, more } = await comparisonOf(kit).changed(main, withinMs, 3);
      expect([logs.length, more]).toEqual([3, true]);
      expect(await comparisonOf(kit).changed(main, withinMs, 4)).toMatchObject({ more: false });
    });
  });
}
