/** Starting, stopping and starting over. */
import { describe, expect, test } from "bun:test";
import { errors } from "../../../src/core/codes.ts";
import { Kit, type OpenBroker, draft, main, numbered, roomy, texts } from "./kit.ts";

export function lifetimeContract(open: OpenBroker): void {
  describe("lifetime", () => {
    test("is ready once started, and no more when stopped", async () => {
      await using kit = await Kit.open(open);
      expect(kit.broker.ready()).toBe(true);
      await kit.broker.stop();
      expect(kit.broker.ready()).toBe(false);
    });

    test("refuses to append when stopped, with a code that says to try again", async () => {
      await using kit = await Kit.open(open);
      await kit.add("t", [draft("a")]);
      await kit.broker.stop();
      const batch = { app: main, tag: "t", rule: roomy, drafts: [draft("b")] };
      expect(await kit.append(batch, batch)).toEqual([{ error: errors.unavailable }, { error: errors.unavailable }]);
    });

    test("never gives an offset of an epoch a second time after a restart", async () => {
      await using kit = await Kit.open(open);
      await kit.addEach("t", numbered(1, 5));
      const [keyed] = await kit.add("t", [draft("m6", "k")]);
      const before = await kit.page("t");
      await kit.restart();
      const after = await kit.page("t");
      const [repeated] = await kit.add("t", [draft("m6", "k")]);
      const [next] = await kit.add("t", [draft("m7")]);
      if (kit.durable || after.epoch === before.epoch) {
        expect(after).toMatchObject({ epoch: before.epoch, top: 6, oldest: before.oldest });
        expect(texts(after.messages)).toEqual(texts(before.messages));
        expect(repeated).toEqual({ ...keyed!, repeated: true });
        expect(next).toMatchObject({ epoch: before.epoch, offset: 7 });
      } else {
        expect(after).toMatchObject({ top: 0, oldest: 1, messages: [] });
        expect(repeated).toEqual({ epoch: after.epoch, offset: 1, repeated: false });
        expect(next).toMatchObject({ epoch: after.epoch, offset: 2 });
      }
    });
  });
}
