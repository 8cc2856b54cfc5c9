/** The checked reader of MessagePack. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { errors } from "../../../src/core/codes.ts";
import { ProtocolError } from "../../../src/core/errors.ts";
import { Cursor } from "../../../src/wire/cursor.ts";
import { bytes } from "./support.ts";

function cursorAt(data: Uint8Array, start = 0, end: number = data.length): Cursor {
  const cursor = new Cursor(64);
  cursor.load(data, start, end);
  return cursor;
}

function thrownBy(run: () => unknown): ProtocolError {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error("Nothing was thrown");
}

describe("skip()", () => {
  test("passes exactly one value, whatever stands behind it", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.uint8Array({ maxLength: 8 }), (value, more) => {
        const data = encode(value);
        const cursor = cursorAt(Buffer.concat([data, more]));
        cursor.skip(64);
        expect(cursor.at).toBe(data.length);
      }),
      { numRuns: 2000 },
    );
  });

  test("refuses a value that is cut short at any byte", () => {
    const data = encode([1, "text", { key: [1.5, new Uint8Array(3), -40_000, null] }, "x".repeat(40), 2 ** 40]);
    for (let end = 0; end < data.length; end++) {
      expect(thrownBy(() => cursorAt(data, 0, end).skip(64)).code).toBe(errors.malformed);
    }
  });

  test("does not look beyond its end, even where bytes follow", () => {
    const data = encode(["ab", "cd"]);
    expect(thrownBy(() => cursorAt(data, 0, data.length - 1).skip(64)).code).toBe(errors.malformed);
  });

  test("counts every level, the one of an empty container too", () => {
    for (const [hex, depth] of [
      ["c0", 0],
      ["90", 1],
      ["80", 1],
      ["91c0", 1],
      ["919190", 3],
      ["9280 81a161 90".replaceAll(" ", ""), 3],
      ["dc0001de0001c090", 3],
    ] as const) {
      cursorAt(bytes(hex)).skip(depth);
      if (depth === 0) continue;
      const error = thrownBy(() => cursorAt(bytes(hex)).skip(depth - 1));
      expect(error.code).toBe(errors.tooDeep);
      expect(error.hostile).toBe(true);
    }
  });

  test("forgets the levels of a value that it failed on", () => {
    const cursor = cursorAt(bytes("9393"));
    thrownBy(() => cursor.skip(64));
    cursor.load(bytes("9101ff"));
    cursor.skip(1);
    expect(cursor.at).toBe(2);
  });
});

describe("typed reads", () => {
  test("answer -1 and stay where another type stands", () => {
    const reads = ["arrayHeader", "mapHeader", "stringHeader", "binHeader", "uint", "bool"] as const;
    const values = [[1], { a: 1 }, "a", Uint8Array.of(1), 5, true];
    for (const [i, read] of reads.entries()) {
      for (const [j, value] of values.entries()) {
        const cursor = cursorAt(encode(value));
        const result = cursor[read]();
        if (i === j) expect(result).toBeGreaterThanOrEqual(0);
        else expect([result, cursor.at]).toEqual([-1, 0]);
      }
    }
  });

  test("uint() reads every width, and nothing negative or beyond 2^53-1", () => {
    for (const value of [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expect(cursorAt(encode(value)).uint()).toBe(value);
    }
    expect(cursorAt(bytes("cf0000000000000007")).uint()).toBe(7);
    for (const hex of ["ff", "d0ff", "d3ffffffffffffffff", "cf0020000000000000", "cb3ff0000000000000"]) {
      expect(cursorAt(bytes(hex)).uint()).toBe(-1);
    }
  });

  test("refuse a length or count that the bytes cannot hold", () => {
    for (const [read, hex] of [
      ["arrayHeader", "dd05f5e100"],
      ["arrayHeader", "9201"],
      ["mapHeader", "8201020304".slice(0, 8)],
      ["mapHeader", "dfffffffff0000"],
      ["stringHeader", "a361"],
      ["stringHeader", "dbffffffff61"],
      ["binHeader", "c40201"],
      ["binHeader", "c6ffffffff"],
      ["uint", "ce0000"],
      ["uint", "cf00000000000000"],
      ["bool", ""],
    ] as const) {
      expect(thrownBy(() => cursorAt(bytes(hex))[read]()).code).toBe(errors.malformed);
    }
  });
});
