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

test("maps that cannot be objects come back as they were, however they are nested", () => {
  const { tree } = fc.letrec((tie) => {
    const value = tie("tree");
    const key = fc.oneof(fc.string({ maxLength: 60 }), fc.integer(), value);
    // The first key is none that an object could have.
    const entries = fc.tuple(fc.tuple(fc.integer(), value), fc.array(fc.tuple(key, value), { maxLength: 10 }));
    return {
      tree: fc.oneof(
        { maxDepth: 4, depthSize: "small" },
        fc.oneof(fc.string({ maxLength: 60, unit: "binary" }), fc.integer(), fc.constant(null), fc.boolean()),
        fc.array(value, { maxLength: 4 }),
        fc.dictionary(fc.stringMatching(/^[a-z"\\]{0,3}$/), value, { maxKeys: 12, noNullPrototype: true }),
        entries.map(([first, rest]) => ({ $map: [first, ...rest] })),
      ),
    };
  });
  fc.assert(
    fc.property(tree, (value) => expect(JSON.parse(textOf(payloadOf(value)))).toEqual(value)),
    { numRuns: 500 },
  );
});

/** An array of as many `unit` as fit into `length` bytes. */
function filled(unit: string, length: number): Buffer {
  const count = Math.floor((length - 5) / bytes(unit).length);
  return Buffer.concat([
    bytes("dd"),
    Buffer.from(new Uint32Array([count]).buffer).swap32(),
    ...Array(count).fill(bytes(unit)),
  ]);
}

test.each([
  ["strings that are not UTF-8", "a1ff"],
  ["extensions", "d40000"],
  ["maps with keys that are no strings", "81c2c2"],
])("a payload full of %s is rendered whole as bytes, since their text would be far longer", (_, unit) => {
  const long = filled(unit, 100_000);
  expect(textOf(long)).toBe(`{"$raw":"${long.toString("base64")}"}`);
  const short = filled(unit, 400);
  const elements = JSON.parse(textOf(short)) as unknown[];
  expect(elements.length).toBe(short.readUInt32BE(1));
  expect(payloadOf(elements[0])).toEqual(new Uint8Array(bytes(unit)));
  // What was given up leaves nothing behind.
  expect(textOf(bytes("81a16101"))).toBe('{"a":1}');
});

test("no payload takes more than six times its bytes and 4 KiB as JSON, and what JSON has itself is never bytes for that", () => {
  const units = ["c0", "c2", "c3", "d9013f", "e0", "80", "90", "a0", "a101", "81a101c2", "ca80800001", "a2c3a9"];
  for (const unit of [
    ...units,
    "c400",
    "810000",
    "81a12400",
    "82a16100a16100",
    "c70000",
    "ca7f800000",
    "a1ff",
    "82a1610000c2",
  ]) {
    const payload = filled(unit, 60_000);
    const text = textOf(payload);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(payload.length * 6 + 4096);
    if (units.includes(unit)) expect(text.startsWith("[")).toBe(true);
    expect(textOf(payloadOf(JSON.parse(text)))).toBe(text);
  }
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
