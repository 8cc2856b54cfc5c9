import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { optionRows } from "../../../src/config/options.ts";
import { expectation, formatValue, parseValue, quoted, type ValueSpec } from "../../../src/config/values.ts";

const duration = { kind: "duration", min: 0, max: Number.MAX_SAFE_INTEGER } as const;
const size = { kind: "size", min: 0, max: Number.MAX_SAFE_INTEGER } as const;
const integer = { kind: "integer", min: 0, max: 65_535 } as const;
const list = { kind: "list", expected: "letters", accept: (text: string) => /^[a-z]+$/.test(text) } as const;

test.each([
  ["250ms", 250],
  ["10s", 10_000],
  ["10 s", 10_000],
  ["1.5s", 1500],
  ["4.35s", 4350],
  ["2m", 120_000],
  ["1h", 3_600_000],
  ["7d", 604_800_000],
  ["1500", 1500],
  [1500, 1500],
  ["0", 0],
])("a duration reads %p as %p ms", (raw, ms) => {
  expect(parseValue(duration, raw)).toBe(ms);
});

test.each([
  "",
  " ",
  "s",
  "-1s",
  "1 week",
  "1s2",
  "1.0001s",
  "1.5",
  "1e3",
  "0x10",
  "∞",
  Infinity,
  NaN,
  1.5,
  true,
  null,
  {},
])("a duration refuses %p", (raw) => {
  expect(parseValue(duration, raw)).toBeUndefined();
});

test.each([
  ["64MiB", 64 * 1024 ** 2],
  ["1 MiB", 1024 ** 2],
  ["1mib", 1024 ** 2],
  ["0.5KiB", 512],
  ["10kB", 10_000],
  ["1MB", 1_000_000],
  ["2GiB", 2 * 1024 ** 3],
  ["100000", 100_000],
  ["5B", 5],
  [100_000, 100_000],
])("a size reads %p as %p bytes", (raw, bytes) => {
  expect(parseValue(size, raw)).toBe(bytes);
});

test.each(["64M", "1 TiB", "MiB", "-1", "1.5", "9999999GiB"])("a size refuses %p", (raw) => {
  expect(parseValue(size, raw)).toBeUndefined();
});

test("an integer takes digits alone, within its bounds", () => {
  expect(["0", "8080", "65535", 65_535].map((raw) => parseValue(integer, raw))).toEqual([0, 8080, 65_535, 65_535]);
  for (const raw of ["65536", "-1", "+1", "1.0", "1k", "0x1", "", 1.5, "99999999999999999999"]) {
    expect(parseValue(integer, raw)).toBeUndefined();
  }
});

test("a boolean is true, false, 1 or 0", () => {
  expect([true, "true", "1"].map((raw) => parseValue({ kind: "boolean" }, raw))).toEqual([true, true, true]);
  expect([false, "false", "0"].map((raw) => parseValue({ kind: "boolean" }, raw))).toEqual([false, false, false]);
  for (const raw of ["yes", "", "TRUE", 1, null]) expect(parseValue({ kind: "boolean" }, raw)).toBeUndefined();
});

test("a list is text with commas or an array, and every item is checked", () => {
  expect(parseValue(list, "a, b,,c ")).toEqual(["a", "b", "c"]);
  expect(parseValue(list, ["a", "b"])).toEqual(["a", "b"]);
  expect(parseValue(list, "")).toEqual([]);
  for (const raw of ["a,1", ["a", 1], { a: 1 }, Array(257).fill("a")]) expect(parseValue(list, raw)).toBeUndefined();
});

test("a set has one or more of its values, each once, in the order of the table", () => {
  const set = { kind: "set", values: ["a", "b", "c"] } as const;
  expect(parseValue(set, "c, a,c")).toEqual(["a", "c"]);
  expect(parseValue(set, ["b", "a", "c"])).toEqual(["a", "b", "c"]);
  for (const raw of ["", ",", "a,d", [], ["d"], [1], "A", null]) expect(parseValue(set, raw)).toBeUndefined();
  expect(expectation(set)).toBe('one or more of "a", "b", "c", separated by commas');
});

test.each([duration, size])("formatValue() writes what parseValue() reads back: $kind", (spec) => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(1, 1000, 1024, 60_000, 3_600_000, 1024 ** 2), (count, unit) => {
      expect(parseValue(spec, formatValue(spec, count * unit))).toBe(count * unit);
    }),
  );
});

describe("every option", () => {
  const bounded = optionRows
    .map(([, option]) => option)
    .filter((option): option is Extract<typeof option, { readonly min: number }> => "min" in option);

  test.each(bounded)("$key takes its bounds and what is between, nothing outside", (option) => {
    const step = option.kind === "duration" ? (option.multipleOf ?? 1) : 1;
    const inside = fc
      .integer({ min: Math.ceil(option.min / step), max: Math.floor(option.max / step) })
      .map((count) => count * step);
    const isOff = (value: number) => "off" in option && value === 0;
    const outside = fc
      .oneof(
        fc.integer({ min: option.max + 1, max: Number.MAX_SAFE_INTEGER }),
        fc.integer({ min: Number.MIN_SAFE_INTEGER, max: option.min - 1 }),
      )
      .filter((value) => !isOff(value));
    fc.assert(fc.property(inside, (value) => expect(parseValue(option, String(value))).toBe(value)));
    fc.assert(fc.property(outside, (value) => expect(parseValue(option, value)).toBeUndefined()));
    expect([option.min, option.max].map((value) => parseValue(option, value))).toEqual([option.min, option.max]);
    const nearest = [option.min - 1, option.max + 1];
    expect(nearest.map((value) => parseValue(option, value))).toEqual(nearest.map((v) => (isOff(v) ? 0 : undefined)));
    if ("off" in option) expect(parseValue(option, "0")).toBe(0);
  });

  test.each(optionRows.map(([, option]) => option))("$key has a default that it would take itself", (option) => {
    if (option.default === null) expect(["string", "integer", "duration"]).toContain(option.kind);
    else expect(parseValue(option, option.default)).toEqual(option.default);
  });
});

test("expectation() names the bounds as a person would write them", () => {
  const specs: ValueSpec[] = [
    { kind: "size", min: 1024, max: 64 * 1024 ** 2 },
    { kind: "enum", values: ["a", "b"] },
    integer,
  ];
  expect(specs.map(expectation)).toEqual([
    'a size from 1KiB to 64MiB (such as "64KiB", "1 MiB"; a bare number is bytes)',
    'one of "a", "b"',
    "an integer from 0 to 65535",
  ]);
});

test("quoted() is safe to print and short", () => {
  expect(quoted("a\u001b[2J\u009b")).toBe('"a\\u001b[2J\\u009b"');
  expect(quoted("x".repeat(5000))).toHaveLength(80);
  expect(quoted(undefined)).toBe("undefined");
});
