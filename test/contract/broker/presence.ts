/** Who is subscribed where: members, their generations, and the versions that order changes. */
import { describe, expect, test } from "bun:test";
import type { Member } from "../../../src/broker/broker.ts";
import { membersListedMax } from "../../../src/core/presence.ts";
import { Kit, type OpenBroker, main, numbers } from "./kit.ts";

function member(client: string, generation: number, info: string | null = null): Member {
  return { client, generation, info: info === null ? null : new TextEncoder().encode(info) };
}

function names(members: readonly Member[] | null): string[] | null {
  return members && members.map(({ client, generation }) => `${client} ${generation}`).toSorted();
}

export function presenceContract(open: OpenBroker): void {
  describe("presence", () => {
    test("lists who has joined and not left", async () => {
      await using kit = await Kit.open(open);
      expect(await kit.broker.members(main, "t")).toMatchObject({ count: 0, members: [] });
      await kit.broker.join(main, "t", member("anna", 1, "info"));
      await kit.broker.join(main, "t", member("bert", 2));
      const both = await kit.broker.members(main, "t");
      expect(both.count).toBe(2);
      expect(names(both.members)).toEqual(["anna 1", "bert 2"]);
      const anna = both.members?.find(({ client }) => client === "anna");
      expect(new TextDecoder().decode(anna?.info ?? new Uint8Array())).toBe("info");
      expect(both.members?.find(({ client }) => client === "bert")?.info).toBeNull();
      await kit.broker.leave(main, "t", member("anna", 1));
      expect(names((await kit.broker.members(main, "t")).members)).toEqual(["bert 2"]);
    });

    test("tells each change with a growing version and the count after it", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "t");
      await kit.broker.join(main, "t", member("anna", 1, "info"));
      await kit.broker.join(main, "t", member("bert", 2));
      await kit.broker.leave(main, "t", member("anna", 1));
      await kit.feed.until(
        () => kit.feed.presenceOf("t").flatMap(({ joined, left }) => [...joined, ...left]).length === 3,
      );
      const events = kit.feed.presenceOf("t");
      expect(names(events.flatMap(({ joined }) => joined))).toEqual(["anna 1", "bert 2"]);
      expect(names(events.flatMap(({ left }) => left))).toEqual(["anna 1"]);
      expect(events.at(-1)?.count).toBe(1);
      const versions = events.map(({ version }) => version);
      expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
      expect((await kit.broker.members(main, "t")).version).toBe(versions.at(-1)!);
    });

    test("never lets a late leave erase a newer join", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.join(main, "t", member("anna", 1));
      await kit.broker.join(main, "t", member("anna", 2));
      expect((await kit.broker.members(main, "t")).count).toBe(2);
      await kit.broker.leave(main, "t", member("anna", 1));
      await kit.broker.leave(main, "t", member("anna", 1));
      expect(names((await kit.broker.members(main, "t")).members)).toEqual(["anna 2"]);
    });

    test("changes nothing for a leave of someone who is not there, or a join of someone who is", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "t");
      await kit.broker.join(main, "t", member("anna", 1, "info"));
      const before = await kit.broker.members(main, "t");
      await kit.broker.leave(main, "t", member("anna", 7));
      await kit.broker.leave(main, "t", member("bert", 1));
      await kit.broker.leave(main, "u", member("anna", 1));
      await kit.broker.join(main, "t", member("anna", 1, "info"));
      expect(await kit.broker.members(main, "t")).toEqual(before);
      await kit.broker.join(main, "t", member("bert", 2));
      await kit.feed.until(() => kit.feed.presenceOf("t").some(({ count }) => count === 2));
      expect(kit.feed.presenceOf("t").flatMap(({ joined }) => joined).length).toBe(2);
      expect(kit.feed.presenceOf("t").flatMap(({ left }) => left)).toEqual([]);
    });

    test("keeps tags and applications apart", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.join(main, "t", member("anna", 1));
      await kit.broker.join("other", "t", member("bert", 2));
      await kit.broker.join(main, "u", member("cleo", 3));
      expect(names((await kit.broker.members(main, "t")).members)).toEqual(["anna 1"]);
      expect(names((await kit.broker.members("other", "t")).members)).toEqual(["bert 2"]);
      expect(names((await kit.broker.members(main, "u")).members)).toEqual(["cleo 3"]);
      expect((await kit.broker.members("other", "u")).count).toBe(0);
    });

    test("lets versions grow on after the last member has left", async () => {
      await using kit = await Kit.open(open);
      let last = -1;
      for (const generation of numbers(1, 3)) {
        await kit.broker.join(main, "t", member("anna", generation));
        const joined = (await kit.broker.members(main, "t")).version;
        await kit.broker.leave(main, "t", member("anna", generation));
        const left = (await kit.broker.members(main, "t")).version;
        expect(joined).toBeGreaterThan(last);
        expect(left).toBeGreaterThan(joined);
        last = left;
      }
    });

    test("tells only the count above the number that is listed", async () => {
      await using kit = await Kit.open(open);
      const join = (n: number) => kit.broker.join(main, "t", member(`c${n}`, n));
      for (const n of numbers(1, membersListedMax)) await join(n);
      expect((await kit.broker.members(main, "t")).members?.length).toBe(membersListedMax);
      await join(membersListedMax + 1);
      expect(await kit.broker.members(main, "t")).toMatchObject({ count: membersListedMax + 1, members: null });
      await kit.broker.leave(main, "t", member("c1", 1));
      expect((await kit.broker.members(main, "t")).members?.length).toBe(membersListedMax);
    });

    test("lets a list be brought up to date by the later changes", async () => {
      await using kit = await Kit.open(open);
      await kit.broker.subscribe(main, "t");
      for (const n of numbers(1, 5)) await kit.broker.join(main, "t", member(`c${n}`, n));
      const list = await kit.broker.members(main, "t");
      await kit.broker.leave(main, "t", member("c2", 2));
      await kit.broker.join(main, "t", member("c2", 6));
      await kit.broker.leave(main, "t", member("c5", 5));
      const now = await kit.broker.members(main, "t");
      await kit.feed.until(() => kit.feed.presenceOf("t").some(({ version }) => version === now.version));
      const present = new Set(names(list.members));
      for (const { version, joined, left } of kit.feed.presenceOf("t")) {
        if (version <= list.version) continue;
        for (const name of names(left) ?? []) present.delete(name);
        for (const name of names(joined) ?? []) present.add(name);
      }
      expect([...present].toSorted()).toEqual(names(now.members)!);
      expect([...present].toSorted()).toEqual(["c1 1", "c2 6", "c3 3", "c4 4"]);
    });
  });
}
