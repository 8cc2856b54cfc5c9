/** Payloads between MessagePack and JSON. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ProtocolError } from "../../../src/core/errors.ts";
import { Cursor } from "../../../src/wire/cursor.ts";
import { payloadToJson } from "../../../src/wire/json-payload.ts";
import { bytes, hexOf, payloadOf, textOf } from "./support.ts";

test("any JSON value comes back from MessagePack as the same text", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      let text: string;
      try {
        text = textOf(payloadOf(value));
      } catch (error) {
        // A map whose one key begins with $, or text with a lone surrogate.
        expect(error).toBeInstanceOf(ProtocolError);
        return;
      }
      expect(JSON.parse(text)).toEqual(value);
      expect(textOf(payloadOf(JSON.parse(text)))).toBe(text);
    }),
    { numRuns: 3000 },
  );
});

test("any bytes that the cursor accepts render as JSON that reads back to the same value", () => {
  let accepted = 0;
  const cursor = new Cursor(64);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (data) => {
      cursor.load(data);
      try {
        cursor.skip(64);
      } catch {
        return;
      }
      accepted++;
      const text = payloadToJson(data, 0, cursor.at);
      // Widths and NaN bits may differ from then on, the value may not.
      const again = payloadOf(JSON.parse(text));
      expect(textOf(again)).toBe(text);
      expect(hexOf(payloadOf(JSON.parse(textOf(again))))).toBe(hexOf(again));
    }),
    { numRuns: 20_000 },
  );
  expect(accepted).toBeGreaterThan(1000);
});

test("payloadToJson() renders what is nested beyond reason as bytes instead of failing", () => {
  const deep = Buffer.alloc(5000, 0x91);
  deep[4999] = 0xc0;
  expect(textOf(deep)).toBe(`{"$raw":"${deep.toString("base64")}"}`);
});

test("payloadToJson() renders the part that it is asked for", () => {
  expect(payloadToJson(bytes("c0c0920102c0"), 2, 5)).toBe("[1,2]");
});

test("an object is a form only where its one key is one", () => {
  expect(hexOf(payloadOf({ $bin: "AQ==", $int: "1" }))).toBe("82a42462696ea441513d3da424696e74a131");
  expect(hexOf(payloadOf({ $int: "-5" }))).toBe("fb");
  expect(hexOf(payloadOf({ $map: [["$bin", 1]] }))).toBe("81a42462696e01");
  expect(hexOf(payloadOf({ $raw: "kcA=" }))).toBe("91c0");
});

test("base64 must be canonical", () => {
  for (const text of ["AQ", "AQ=", "AR==", "A Q==".replace(" ", "*"), "_w=="]) {
    expect(() => payloadOf({ $bin: text })).toThrow(ProtocolError);
  }
});
