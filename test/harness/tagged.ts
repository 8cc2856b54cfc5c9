/**
 * Values as other languages print them for a test: `["i", "7"]`, `["f", "0.5"]`, `["s", hex]`, `["b", hex]`, `["x", hex, type]`,
 * `["a", …]`, `["m", [key, value], …]`, null and booleans as they are.
 */
export type Tagged = null | boolean | readonly [string, ...unknown[]];

/** The JSON form of the protocol, as the vectors have it; with `plain` maps are objects, as they are outside payloads. */
export function jsonForm(value: Tagged, plain = false): unknown {
  if (value === null || typeof value === "boolean") return value;
  const [kind, ...rest] = value;
  const text = String(rest[0]);
  switch (kind) {
    case "i":
      return Number.isSafeInteger(Number(text)) ? Number(text) : { $int: text };
    case "f":
      return floatForm(text);
    case "s":
      return Buffer.from(text, "hex").toString("utf8");
    case "b":
      return { $bin: base64(text) };
    case "x":
      return { $ext: [rest[1], base64(text)] };
    case "a":
      return (rest as Tagged[]).map((element) => jsonForm(element, plain));
    case "m":
      return mapForm(rest as [Tagged, Tagged][], plain);
    default:
      throw new Error(`Not a tagged value: ${kind}`);
  }
}

const base64 = (hex: string) => Buffer.from(hex, "hex").toString("base64");

function floatForm(text: string): unknown {
  if (text.endsWith("nan")) return { $num: "NaN" };
  if (text.endsWith("inf")) return { $num: text.startsWith("-") ? "-Infinity" : "Infinity" };
  return Number(text);
}

function mapForm(pairs: readonly (readonly [Tagged, Tagged])[], plain: boolean): unknown {
  const forms = pairs.map(([key, value]) => [jsonForm(key, plain), jsonForm(value, plain)] as const);
  const keys = forms.map(([key]) => key);
  const isPlain = keys.every((key) => typeof key === "string") && new Set(keys).size === keys.length;
  const isForm = keys.length === 1 && String(keys[0]).startsWith("$");
  // As JSON.parse does it: `__proto__` is a key like any other.
  return plain || (isPlain && !isForm) ? Object.fromEntries(forms) : { $map: forms };
}
