import { expect, test } from "bun:test";
import fc from "fast-check";
import { printable } from "../../../src/lib/printable.ts";

test("printable() writes escapes, newlines, C1 controls and direction marks as text", () => {
  expect(printable("a\u001b[31mb\nc\u009b0m\u202ed\u007f")).toBe("a\\u001b[31mb\\u000ac\\u009b0m\\u202ed\\u007f");
});

test("printable() leaves other text alone", () => {
  expect(printable('plant/7/temp é 漢字 🙂 "quoted" \\')).toBe('plant/7/temp é 漢字 🙂 "quoted" \\');
});

test("printable() never lets a control character through", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
    }),
  );
});
