/** MessagePack primitives, against an independent implementation. */
import { expect, test } from "bun:test";
import { decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import * as wire from "../../../src/wire/encode.ts";
import { Raw, type ResultValue } from "../../../src/wire/messages.ts";
import { hexOf } from "./support.ts";

function written(run: (w: ByteWriter) => void): Uint8Array {
  const w = new ByteWriter(1);
  run(w);
  return w.copy();
}

test("writeInt() takes the shortest form of every safe integer", () => {
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -70_000, max: 70_000 })), (value) => {
      const bytes = written((w) => wire.writeInt(w, value));
      expect(hexOf(bytes)).toBe(hexOf(encode(value)));
    }),
    { numRuns: 5000 },
  );
});

test("writeBigInt() writes what MessagePack has and refuses the rest", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }), (value) => {
      const w = new ByteWriter(1);
      const fits = value >= -(2n ** 63n) && value < 2n ** 64n;
      expect(wire.writeBigInt(w, value)).toBe(fits);
      if (fits) expect(BigInt(decode(w.view(), { useBigInt64: true }) as bigint | number)).toBe(value);
      else expect(w.length).toBe(0);
    }),
    { numRuns: 5000 },
  );
});

test("writeString() takes the shortest form of any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      expect(hexOf(written((w) => wire.writeString(w, text)))).toBe(hexOf(encode(text)));
    }),
    { numRuns: 2000 },
  );
});

test("writeNumber() keeps -0, NaN and what is beyond 2^53 as floats", () => {
  for (const value of [-0, Number.NaN, Infinity, 2 ** 53, -(2 ** 53), 0.1]) {
    const bytes = written((w) => wire.writeNumber(w, value));
    expect(bytes[0]).toBe(0xcb);
    expect(Object.is(decode(bytes), value)).toBe(true);
  }
});

test("writeValue() writes every kind of result as another decoder reads it", () => {
  const value: ResultValue = {
    nil: null,
    flags: [true, false],
    text: "ü",
    bytes: Uint8Array.of(1, 2),
    map: new Map<string, ResultValue>([["$x/y", [1, 2]]]),
    raw: new Raw(encode({ deep: [1] })),
    left: undefined,
  };
  expect(decode(written((w) => wire.writeValue(w, value)))).toEqual({
    nil: null,
    flags: [true, false],
    text: "ü",
    bytes: Uint8Array.of(1, 2),
    map: { "$x/y": [1, 2] },
    raw: { deep: [1] },
  });
});
