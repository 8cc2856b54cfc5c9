/** Kinds of value that options take: how one is read from text or TOML, checked, and written back. Knows no option. */
import { printable } from "../lib/printable.ts";

export type Value = string | number | boolean | null | readonly string[] | Readonly<Record<string, unknown>>;

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly multipleOf?: number;
  /** Where 0 turns a limit off: what then holds in place of it. */
  readonly off?: number;
}

/** What a value has to be. Bounds are inclusive, in the unit of the result: bytes, milliseconds. */
export type ValueSpec =
  | {
      readonly kind: "string";
      readonly expected: string;
      readonly accept: (text: string) => boolean;
      readonly path?: true;
      /** A value that is no path. */
      readonly keyword?: string;
    }
  | {
      readonly kind: "list";
      readonly expected: string;
      readonly accept: (text: string) => boolean;
      readonly path?: true;
    }
  | ({ readonly kind: "integer" } & Bounds)
  | ({ readonly kind: "duration" } & Bounds)
  | ({ readonly kind: "size" } & Bounds)
  | { readonly kind: "enum"; readonly values: readonly string[] }
  /** One or more of the values, separated by commas. */
  | { readonly kind: "set"; readonly values: readonly string[] }
  | { readonly kind: "boolean" }
  /** A TOML table, looked into by the caller. */
  | { readonly kind: "table"; readonly expected: string };

/** Items of one list. */
const listMax = 256;

const durations = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const sizes = { B: 1, kB: 1000, MB: 1000 ** 2, GB: 1000 ** 3, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** The value that `raw` (text of a flag or variable, or what TOML holds) stands for, or undefined where it is not one. */
export function parseValue(spec: ValueSpec, raw: unknown): Value | undefined {
  switch (spec.kind) {
    case "string":
      return typeof raw === "string" && spec.accept(raw) ? raw : undefined;
    case "list":
      return parseList(raw, spec.accept);
    case "set":
      return parseSet(spec.values, raw);
    case "integer":
      return within(spec, parseScaled(raw, {}));
    case "duration":
      return within(spec, parseScaled(raw, durations));
    case "size":
      return within(spec, parseScaled(raw, sizes));
    case "enum":
      return typeof raw === "string" && spec.values.includes(raw) ? raw : undefined;
    case "boolean":
      if (raw === true || raw === "true" || raw === "1") return true;
      return raw === false || raw === "false" || raw === "0" ? false : undefined;
    case "table":
      return isTable(raw) ? raw : undefined;
  }
}

/** What a value of this kind looks like, to follow the word "expected". */
export function expectation(spec: ValueSpec): string {
  switch (spec.kind) {
    case "string":
    case "list":
    case "table":
      return spec.expected;
    case "integer":
      return `${offText(spec)}an integer from ${spec.min} to ${spec.max}`;
    case "duration":
      return `${offText(spec)}a duration from ${formatValue(spec, spec.min)} to ${formatValue(spec, spec.max)}${spec.multipleOf === 1000 ? ", in whole seconds" : ""} (such as ${spec.multipleOf === 1000 ? "" : '"250ms", '}"10s", "2m", "1h"; a bare number is milliseconds)`;
    case "size":
      return `${offText(spec)}a size from ${formatValue(spec, spec.min)} to ${formatValue(spec, spec.max)} (such as "64KiB", "1 MiB"; a bare number is bytes)`;
    case "enum":
      return `one of ${spec.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "set":
      return `one or more of ${spec.values.map((value) => JSON.stringify(value)).join(", ")}, separated by commas`;
    case "boolean":
      return "true or false";
  }
}

/** The value as a person would write it; `parseValue` reads it back. */
export function formatValue(spec: ValueSpec, value: Value): string {
  if (value === null) return "";
  if (spec.kind === "duration" && typeof value === "number") return formatScaled(value, durations);
  if (spec.kind === "size" && typeof value === "number")
    return formatScaled(value, { B: 1, KiB: sizes.KiB, MiB: sizes.MiB, GiB: sizes.GiB });
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Input in an error message: as JSON, safe for a terminal, at most 80 characters. */
export function quoted(raw: unknown): string {
  const text = JSON.stringify(raw) ?? String(raw);
  return printable(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}

export function isTable(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return typeof raw === "object" && raw !== null && Object.getPrototypeOf(raw) === Object.prototype;
}

function offText({ off }: Bounds): string {
  return off === undefined ? "" : "0 for off, or ";
}

function within(spec: Bounds, value: number): number | undefined {
  if (value === 0 && spec.off !== undefined) return 0;
  return value >= spec.min && value <= spec.max && value % (spec.multipleOf ?? 1) === 0 ? value : undefined;
}

/** A whole number, or NaN. Units are matched without regard to case; "1.5s" will do where the result is whole. */
function parseScaled(raw: unknown, units: Readonly<Record<string, number>>): number {
  if (typeof raw === "number") return Number.isSafeInteger(raw) ? raw : Number.NaN;
  const match = typeof raw === "string" ? /^(\d{1,16})(\.\d{1,6})? ?([a-z]*)$/i.exec(raw) : null;
  if (match === null) return Number.NaN;
  const [, whole = "", fraction = "", name = ""] = match;
  if (name === "") return fraction === "" ? Number(whole) : Number.NaN;
  const unit = Object.entries(units).find(([unitName]) => unitName.toLowerCase() === name.toLowerCase());
  // Rounding undoes what binary fractions lose: 4.35 * 1000 is not whole.
  const scaled = unit === undefined ? Number.NaN : Number((Number(whole + fraction) * unit[1]).toFixed(3));
  return Number.isSafeInteger(scaled) ? scaled : Number.NaN;
}

/** In the largest unit that leaves a whole number. */
function formatScaled(value: number, units: Readonly<Record<string, number>>): string {
  let best: readonly [string, number] = ["", 1];
  for (const unit of Object.entries(units)) if (value !== 0 && value % unit[1] === 0) best = unit;
  return `${value / best[1]}${best[0]}`;
}

function parseList(raw: unknown, accept: (text: string) => boolean): readonly string[] | undefined {
  const items: unknown =
    typeof raw === "string"
      ? raw
          .split(",")
          .map((item) => item.trim())
          .filter((item) => item !== "")
      : raw;
  if (!Array.isArray(items) || items.length > listMax) return undefined;
  return items.every((item) => typeof item === "string" && accept(item)) ? (items as string[]) : undefined;
}

/** Each once, in the order of the table. */
function parseSet(values: readonly string[], raw: unknown): readonly string[] | undefined {
  const named = parseList(raw, (text) => values.includes(text));
  return named === undefined || named.length === 0 ? undefined : values.filter((value) => named.includes(value));
}
