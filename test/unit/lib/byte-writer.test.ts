/** The growable byte buffer. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";

const hex = (w: ByteWriter): string => Buffer.from(w.view()).toString("hex");

test("ByteWriter writes integers big-endian, in the order of the calls", () => {
  const w = new ByteWriter();
  w.u8(0xab);
  w.u16(0x1234);
  w.u32(0xdeadbeef);
  w.u64(0x1f_ffff_ffff_ffff);
  w.f64(-1.5);
  expect(hex(w)).toBe("ab1234deadbeef001fffffffffffffbff8000000000000");
});

test("ByteWriter writes negative integers as two's complement", () => {
  const w = new ByteWriter();
  w.u16(-2);
  w.u32(-2);
  w.u64(-2);
  w.u64(Number.MIN_SAFE_INTEGER);
  expect(hex(w)).toBe("fffefffffffefffffffffffffffeffe0000000000001");
});

test("ByteWriter agrees with DataView on every safe integer", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      const w = new ByteWriter();
      w.u64(value);
      const expected = Buffer.alloc(8);
      expected.writeBigInt64BE(BigInt(value));
      expect(hex(w)).toBe(expected.toString("hex"));
    }),
  );
});

test("ByteWriter keeps what it holds when it grows", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (pieces) => {
      const w = new ByteWriter(1);
      for (const piece of pieces) w.append(piece);
      expect(hex(w)).toBe(Buffer.concat(pieces).toString("hex"));
    }),
  );
});

test("append() copies the part that is asked for, from a Uint8Array and from a view", () => {
  const source = Uint8Array.from({ length: 100 }, (_, i) => i);
  for (const bytes of [source, new Uint8Array(Buffer.concat([Buffer.alloc(7), source]).buffer, 7, 100)]) {
    if (bytes !== source) bytes.set(source);
    for (const [start, end] of [
      [3, 5],
      [2, 18],
      [2, 19],
      [0, 100],
      [50, 50],
    ] as const) {
      const w = new ByteWriter();
      w.append(bytes, start, end);
      expect(hex(w)).toBe(Buffer.from(source.subarray(start, end)).toString("hex"));
    }
  }
});

test("utf8() writes any text as an encoder does and says how long it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 100 }), fc.nat({ max: 70 }), (text, before) => {
      const w = new ByteWriter(1);
      w.append(Buffer.alloc(before));
      const expected = Buffer.from(new TextEncoder().encode(text));
      expect(w.utf8(text)).toBe(expected.length);
      expect(hex(w)).toBe("00".repeat(before) + expected.toString("hex"));
    }),
  );
});

test("reset() starts over in the same storage, and view() shows it without a copy", () => {
  const w = new ByteWriter(128);
  w.u32(1);
  const storage = w.bytes;
  w.reset();
  expect(w.length).toBe(0);
  w.u8(7);
  expect(w.bytes).toBe(storage);
  const view = w.view();
  w.bytes[0] = 9;
  expect([...view]).toEqual([9]);
});

test("copy() stays as it was when the writer goes on", () => {
  const w = new ByteWriter();
  w.u8(7);
  const copy = w.copy();
  w.reset();
  w.u8(8);
  expect([...copy]).toEqual([7]);
  expect(copy.buffer.byteLength).toBe(1);
});
