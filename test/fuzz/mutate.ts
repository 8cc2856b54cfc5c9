/** New inputs from old ones: what breaks parsers, at random but from a seed. */
import type { Random } from "../harness/random.ts";

const encoder = new TextEncoder();

/** Bytes at the edges of formats: signs, quotes, brackets, heads of MessagePack, ends of UTF-8 ranges. */
const edges = [
  ...[0, 1, 9, 10, 13, 27, 32, 34, 36, 43, 35, 45, 47, 48, 57, 58, 61, 91, 92, 93, 123, 125, 127],
  ...[0x80, 0x81, 0x90, 0x91, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xc4, 0xc6, 0xc7, 0xca, 0xcb, 0xcf],
  ...[0xd3, 0xd4, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xed, 0xf0, 0xf4, 0xff],
];
/** Big-endian numbers at the edges of integer types. */
const numbers = [
  [0xff, 0xff],
  [0x7f, 0xff],
  [0x01, 0x00],
  [0xff, 0xff, 0xff, 0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0x00, 0x01, 0x00, 0x00],
  [0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];
const digits = ["0", "-1", "1e999", "-0", "9007199254740993", "4294967296", "0.5", "1e-7"].map((text) =>
  encoder.encode(text),
);
const changesMax = 4;
const chunkMax = 32;
const repeatsMax = 300;

export interface Material {
  readonly random: Random;
  /** What to change, and what to take pieces from. */
  readonly pool: readonly Uint8Array[];
  /** Words of the format. */
  readonly words: readonly Uint8Array[];
  readonly bytesMax: number;
}

/** `input` with one to four changes. */
export function mutate(input: Uint8Array, material: Material): Uint8Array {
  const { random } = material;
  let changed = (random.chance(0.3) ? jsonChanged(input, random) : null) ?? change(input, material);
  if (random.chance(0.5)) {
    for (let count = random.between(1, changesMax - 1); count > 0; count--) changed = change(changed, material);
  }
  return changed.subarray(0, material.bytesMax);
}

function change(input: Uint8Array, { random, pool, words }: Material): Uint8Array {
  const at = random.int(input.length + 1);
  const length = Math.min(random.between(1, chunkMax), input.length - at);
  const chunk = input.subarray(at, at + length);
  switch (random.int(11)) {
    case 0:
      return overwritten(input, at, [random.int(256)]);
    case 1:
      return overwritten(input, at, [random.pick(edges)]);
    case 2:
      return overwritten(input, at, [(input[at] ?? 0) ^ (1 << random.int(8))]);
    case 3:
      return overwritten(input, at, random.pick(numbers));
    case 4:
      return joined(input.subarray(0, at), input.subarray(at + length));
    case 5:
      return joined(input.subarray(0, at), random.pick(words.length > 0 ? words : digits), input.subarray(at));
    case 6:
      return joined(input.subarray(0, at), random.pick(digits), input.subarray(at + length));
    case 7:
      return joined(input.subarray(0, at), random.bytes(random.between(1, 4)), input.subarray(at));
    case 8: {
      const other = random.pick(pool);
      const from = random.int(other.length + 1);
      return joined(input.subarray(0, at), other.subarray(from, from + random.between(1, 200)), input.subarray(at));
    }
    case 9:
      return joined(input.subarray(0, at), chunk, input.subarray(at));
    default: {
      const times = random.chance(0.1) ? random.between(2, repeatsMax) : random.between(2, 5);
      const piece = random.chance(0.5) ? chunk : random.pick(words.length > 0 ? words : digits);
      return joined(input.subarray(0, at), ...Array.from({ length: times }, () => piece), input.subarray(at));
    }
  }
}

/** The JSON that `input` is, or has behind an empty line, with one value in it another; null where there is none. */
function jsonChanged(input: Uint8Array, random: Random): Uint8Array | null {
  const text = Buffer.from(input).toString("utf8");
  const start = text.indexOf("\n\n") < 0 ? 0 : text.indexOf("\n\n") + 2;
  if (!/^[[{]/.test(text.slice(start))) return null;
  let json: unknown;
  try {
    json = JSON.parse(text.slice(start));
  } catch {
    return null;
  }
  const values: unknown[] = [];
  const at = random.int(nodes(json, values));
  let count = 0;
  const changed = JSON.stringify(json, (_, value: unknown) => {
    if (count++ !== at) return value;
    return random.chance(0.3)
      ? undefined
      : random.chance(0.5)
        ? random.pick(odd)
        : structuredClone(random.pick(values));
  });
  return changed === undefined ? null : Buffer.from(text.slice(0, start) + changed);
}

const odd = [
  ...[null, true, 0, -1, 1.5, 1e300, 2 ** 53, "", "x", "\0", "\r\n", "$x", "#", "a/+", "\ud800", "x".repeat(300)],
  ...[[], {}, [[]], { $bin: "AA==" }, { $raw: "wQ==" }, { $map: [[{}, 1]] }, JSON.parse('{"__proto__":[]}')],
];

/** How many values there are in `json`, itself and containers included. */
function nodes(json: unknown, values: unknown[]): number {
  values.push(json);
  if (typeof json !== "object" || json === null) return 1;
  return Object.values(json).reduce((count: number, value) => count + nodes(value, values), 1);
}

function overwritten(input: Uint8Array, at: number, bytes: readonly number[]): Uint8Array {
  const copy = new Uint8Array(Math.max(input.length, at + bytes.length));
  copy.set(input);
  copy.set(bytes, at);
  return copy;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
