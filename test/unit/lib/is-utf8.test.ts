/** The check of UTF-8 against a decoder that throws. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { isUtf8 } from "../../../src/lib/is-utf8.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

function decodes(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

test("isUtf8() takes what a decoder takes: every pair of bytes, and every lead with bytes from the edges behind it", () => {
  const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  const wrong: number[][] = [];
  const check = (...bytes: number[]) => {
    const part = Uint8Array.from([0x80, ...bytes, 0x80]);
    if (isUtf8(part, 1, part.length - 1) !== decodes(Uint8Array.from(bytes))) wrong.push(bytes);
  };
  check();
  for (const a of all) {
    check(a);
    for (const b of all) check(a, b);
    for (const b of edges) {
      for (const c of edges) {
        check(a, b, c);
        for (const d of edges) check(a, b, c, d);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("isUtf8() takes any text of any length, until one byte of it is wrong", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 80 }), fc.nat(), fc.nat(255), (text, at, byte) => {
      const bytes = new TextEncoder().encode(text);
      expect(isUtf8(bytes, 0, bytes.length)).toBe(true);
      bytes[at % bytes.length] = byte;
      expect(isUtf8(bytes, 0, bytes.length)).toBe(decodes(bytes));
    }),
    { numRuns: 2000 },
  );
});
