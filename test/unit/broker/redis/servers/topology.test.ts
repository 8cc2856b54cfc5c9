import { describe, expect, test } from "bun:test";
import {
  hashSlotOf,
  hashSlots,
  holderOf,
  indexOf,
  indexOfChannel,
  rangesAt,
  slotAt,
  slotCount,
} from "../../../../../src/broker/redis/servers/topology.ts";

describe("The slots of a Redis Cluster", () => {
  test("are those that Redis says", () => {
    // As answered by CLUSTER KEYSLOT.
    expect(["123456789", "all", "0", "foo"].map(hashSlotOf)).toEqual([12739, 3894, 13907, 12182]);
    expect(hashSlots[indexOf("all")]).toBe(hashSlotOf("all"));
  });

  test("are held by the server whose range they are in", async () => {
    const send = () =>
      Promise.resolve([
        [0, 8000, [Buffer.from("10.0.0.1"), 1, Buffer.from("x")], [Buffer.from("10.0.0.9"), 9, Buffer.from("replica")]],
        [8001, 16383, [null, 2, Buffer.from("y")]],
      ]);
    const ranges = await rangesAt({ url: "redis://asked:7", send });
    expect(ranges).toEqual([
      { from: 0, to: 8000, id: "x", host: "10.0.0.1", port: 1 },
      { from: 8001, to: 16383, id: "y", host: "asked", port: 2 },
    ]);
    for (let index = 0; index < slotCount; index++) {
      expect(holderOf(ranges, index)?.id).toBe(hashSlotOf(`${slotAt(index)}`) <= 8000 ? "x" : "y");
    }
    expect(holderOf(ranges.slice(0, 1), hashSlots.indexOf(Math.max(...hashSlots)))).toBeNull();
  });

  test("of channels are told by their names, but for that of a firehose", () => {
    expect(["tc1:{7}:c:a\0t", "tc1:{all}:control", "tc1:f:main"].map(indexOfChannel)).toEqual([7, 1024, null]);
  });
});
