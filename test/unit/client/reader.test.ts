import { expect, test } from "bun:test";
import { decode, encode, ExtData } from "@msgpack/msgpack";
import fc from "fast-check";
import { Reader } from "../../../src/client/reader.ts";
import { Raw } from "../../../src/wire/messages.ts";

const values = fc.anything({
  withNullPrototype: false,
  values: [
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer(),
    fc.double(),
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.uint8Array(),
    fc.date({ noInvalidDate: true, min: new Date(0) }),
  ],
  key: fc.string().filter((key) => key !== "__proto__"),
});

function read(bytes: Uint8Array): unknown {
  return new Reader(bytes).value();
}

test("what the library encodes is read as the library decodes it", () => {
  fc.assert(
    fc.property(values, (value) => {
      const bytes = encode(value);
      expect(read(bytes)).toEqual(decode(bytes));
    }),
  );
});

test("every header form is read", () => {
  const long = "é".repeat(40_000);
  const wide = Array.from({ length: 70_000 }, (_, i) => i);
  const map = Object.fromEntries(wide.slice(1, 21).map((i) => [`k${i}`, -i * 1_000_003]));
  for (const value of [
    long,
    wide,
    map,
    { long },
    new Uint8Array(70_000),
    2 ** 40,
    -(2 ** 40),
    255,
    65_536,
    -129,
    -40_000,
  ]) {
    expect(read(encode(value))).toEqual(value);
  }
  expect(read(Uint8Array.of(0xca, 0x3f, 0xc0, 0, 0))).toBe(1.5);
});

test("a byte order mark stays part of the text", () => {
  expect(read(encode("\ufeffabc"))).toBe("\ufeffabc");
  expect(read(encode(`\ufeff${"abc".repeat(20)}`))).toBe(`\ufeff${"abc".repeat(20)}`);
});

test("a map with keys that an object cannot have is a Map", () => {
  // {nil: 1} and {"a": 1, "__proto__": 2}
  expect(read(Uint8Array.of(0x81, 0xc0, 1))).toEqual(new Map([[null, 1]]));
  const proto = Uint8Array.of(0x82, 0xa1, 0x61, 1, 0xa9, ...new TextEncoder().encode("__proto__"), 2);
  expect(read(proto)).toEqual(
    new Map([
      ["a", 1],
      ["__proto__", 2],
    ]),
  );
});

test("unknown extensions and timestamps that are none are kept as bytes", () => {
  expect(read(Uint8Array.of(0xd4, 5, 9))).toEqual(new ExtData(5, Uint8Array.of(9)));
  expect(read(Uint8Array.of(0xd4, 0xff, 9))).toEqual(new ExtData(-1, Uint8Array.of(9)));
});

test("bytes that end too early throw, wherever they are cut", () => {
  const bytes = encode({ a: [1, "text", new Uint8Array(3), 2 ** 40, 1.5, { b: null }], c: new Date(0) });
  for (let length = 0; length < bytes.length; length++)
    expect(() => read(bytes.subarray(0, length))).toThrow(RangeError);
});

test("random bytes are a value or a RangeError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        read(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
    { numRuns: 2000 },
  );
});

test("a raw value is its bytes, and the next one follows", () => {
  const reader = new Reader(Buffer.concat([encode({ a: [1, 2] }), encode("next")]));
  expect(reader.raw()).toEqual(new Raw(encode({ a: [1, 2] })));
  expect(reader.value()).toBe("next");
  expect(reader.done).toBe(true);
});
