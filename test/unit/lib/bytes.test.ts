import { expect, test } from "bun:test";
import { copyOf } from "../../../src/lib/bytes.ts";

test("a copy has the bytes that were asked for, and none of the storage", () => {
  for (const source of [Buffer.from([1, 2, 3, 4]), new Uint8Array([0, 1, 2, 3, 4]).subarray(1)]) {
    const whole = copyOf(source);
    const part = copyOf(source, 1, 3);
    source.fill(9);
    expect([...whole]).toEqual([1, 2, 3, 4]);
    expect([...part]).toEqual([2, 3]);
    expect(whole.buffer.byteLength).toBe(4);
  }
  expect(copyOf(new Uint8Array(0))).toHaveLength(0);
});
