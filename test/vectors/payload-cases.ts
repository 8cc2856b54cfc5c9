/** Payloads, each as op 18 to the tag `t`: every type and length boundary of MessagePack and every form that JSON lacks. */
import type { Case, Piece } from "./cases.ts";

const head = { msgpack: "9412a174c0", json: '[18,"t",null,' } as const;

/** A payload by its value. */
const plain = (name: string, payload: unknown): Case => ({ name, value: [18, "t", null, payload] });

/** A payload by its bytes (hex) and its JSON text. */
const written = (name: string, msgpack: string, json: string): Case => ({
  name,
  msgpack: head.msgpack + msgpack,
  json: `${head.json}${json}]`,
});

const long = (name: string, msgpack: readonly Piece[], json: readonly Piece[]): Case => ({
  name,
  msgpack: [head.msgpack, ...msgpack],
  json: [head.json, ...json, "]"],
});

const hex = (n: number, width: number): string => n.toString(16).padStart(width * 2, "0");
/** Base64 of `count` zero bytes, in pieces. */
const zeros = (count: number): Piece[] => [["AAAA", Math.floor(count / 3)], ["", "AA==", "AAA="][count % 3] as string];

const positive = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
const negative = [-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53) + 1];
const larger = ["9007199254740992", "18446744073709551615", "-9007199254740992", "-9223372036854775808"];
const extSizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 255, 256];

/** MessagePack ↔ JSON, exact both ways. */
export const payloadCases: readonly Case[] = [
  plain("nil", null),
  plain("false", false),
  plain("true", true),
  ...[...positive, ...negative].map((n) => plain(`integer ${n}`, n)),
  ...larger.map((digits) => plain(`integer ${digits}`, { $int: digits })),
  ...[0.5, -1.25, 1e21, 1e300, 5e-324, 2 ** 53, -(2 ** 53), Math.PI].map((n) => plain(`float ${n}`, n)),
  written("float -0", "cb8000000000000000", "-0"),
  written("float NaN", "cb7ff8000000000000", '{"$num":"NaN"}'),
  written("float Infinity", "cb7ff0000000000000", '{"$num":"Infinity"}'),
  written("float -Infinity", "cbfff0000000000000", '{"$num":"-Infinity"}'),
  ...[0, 1, 31, 32, 255, 256].map((n) => plain(`string of ${n} bytes`, "a".repeat(n))),
  long("string of 65535 bytes", ["daffff", ["61", 65_535]], ['"', ["a", 65_535], '"']),
  long("string of 65536 bytes", ["db00010000", ["61", 65_536]], ['"', ["a", 65_536], '"']),
  plain("string beyond ASCII", "öl 温度 🌡 \u2028"),
  plain("string with escapes", '"\\\b\f\n\r\t\u0000\u001f\u007f/'),
  plain("string with a byte order mark", "\ufeffx"),
  plain("string of 31 two-byte characters", "ü".repeat(31)),
  written("string of ill-formed UTF-8", "a2c328", '{"$raw":"osMo"}'),
  written("string with an encoded surrogate", "a3eda080", '{"$raw":"o+2ggA=="}'),
  ...[0, 1, 255, 256].map((n) => plain(`bytes: ${n}`, { $bin: Buffer.alloc(n).toString("base64") })),
  long("bytes: 65535", ["c5ffff", ["00", 65_535]], ['{"$bin":"', ...zeros(65_535), '"}']),
  long("bytes: 65536", ["c600010000", ["00", 65_536]], ['{"$bin":"', ...zeros(65_536), '"}']),
  ...[0, 1, 15, 16].map((n) =>
    plain(
      `array of ${n}`,
      Array.from({ length: n }, (_, i) => i),
    ),
  ),
  long("array of 65535", ["dcffff", ["c0", 65_535]], ["[null", [",null", 65_534], "]"]),
  long("array of 65536", ["dd00010000", ["c0", 65_536]], ["[null", [",null", 65_535], "]"]),
  ...[0, 1, 15, 16].map((n) =>
    plain(`map of ${n}`, Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, i]))),
  ),
  long("map of 65535", ["deffff", ["a16b00", 65_535]], ['{"$map":[["k",0]', [',["k",0]', 65_534], "]}"]),
  long("map of 65536", ["df00010000", ["a16b00", 65_536]], ['{"$map":[["k",0]', [',["k",0]', 65_535], "]}"]),
  ...extSizes.map((n) => plain(`extension of ${n} bytes`, { $ext: [5, Buffer.alloc(n).toString("base64")] })),
  ...[-128, -1, 0, 127].map((type) => plain(`extension of type ${type}`, { $ext: [type, "AAEC/w=="] })),
  long("extension of 65535 bytes", ["c8ffff05", ["00", 65_535]], ['{"$ext":[5,"', ...zeros(65_535), '"]}']),
  long("extension of 65536 bytes", ["c90001000005", ["00", 65_536]], ['{"$ext":[5,"', ...zeros(65_536), '"]}']),
  plain("nested", { readings: [{ t: 21.5, raw: { $bin: "AQI=" } }, [], {}], ok: true }),
  long(
    "64 arrays deep",
    [["91", 63], "90"],
    [
      ["[", 64],
      ["]", 64],
    ],
  ),
  long("64 maps deep", [["81a16b", 63], "80"], [['{"k":', 63], "{}", ["}", 63]]),
  plain("map with several keys of which one begins with $", { $bin: "AA==", a: 1 }),
  plain("map with two keys that begin with $", { $map: 1, $x: 2 }),
  written("map with one key that begins with $", "81a42462696ea161", '{"$map":[["$bin","a"]]}'),
  written("map with the key $", "81a124c0", '{"$map":[["$",null]]}'),
  written("map with the key __proto__", "81a95f5f70726f746f5f5fc0", '{"__proto__":null}'),
  written("map with an empty key", "81a0c0", '{"":null}'),
  written("map with other keys", "820102c002", '{"$map":[[1,2],[null,2]]}'),
  written("map with a map as key", "81810102c3", '{"$map":[[{"$map":[[1,2]]},true]]}'),
  written("map with bytes as key", "81c40100c3", '{"$map":[[{"$bin":"AA=="},true]]}'),
  written("map with duplicate keys", "82a16101a16102", '{"$map":[["a",1],["a",2]]}'),
  written("map with an ill-formed key", "81a1ffc0", '{"$map":[[{"$raw":"of8="},null]]}'),
];

/** MessagePack that is not in its shortest form, or has no value of its own in JSON: it is read, and rendered like this. */
export const alternativeCases: readonly Case[] = [
  ...["cc07", "cd0007", "ce00000007", `cf${hex(7, 8)}`, "d007", "d10007", "d200000007", `d3${hex(7, 8)}`].map((bytes) =>
    written(`integer 7 as ${bytes}`, bytes, "7"),
  ),
  written("integer -1 as d0", "d0ff", "-1"),
  written("integer -1 as d3", "d3ffffffffffffffff", "-1"),
  written("float 1.0", "cb3ff0000000000000", "1"),
  written("float32 1.5", "ca3fc00000", "1.5"),
  written("float32 0.1", "ca3dcccccd", "0.10000000149011612"),
  written("float32 NaN", "ca7fc00000", '{"$num":"NaN"}'),
  written("float32 -0", "ca80000000", "-0"),
  written("another NaN", "cbfff8000000000001", '{"$num":"NaN"}'),
  written("string as d9", "d90161", '"a"'),
  written("string as da", "da000161", '"a"'),
  written("string as db", "db0000000161", '"a"'),
  written("ill-formed string as d9", "d901ff", '{"$raw":"2QH/"}'),
  written("ill-formed string as da", "da0001ff", '{"$raw":"2gAB/w=="}'),
  written("ill-formed string as db", "db00000001ff", '{"$raw":"2wAAAAH/"}'),
  written("bytes as c5", "c5000107", '{"$bin":"Bw=="}'),
  written("bytes as c6", "c60000000107", '{"$bin":"Bw=="}'),
  written("array as dc", "dc000107", "[7]"),
  written("array as dd", "dd0000000107", "[7]"),
  written("map as de", "de0001a16107", '{"a":7}'),
  written("map as df", "df00000001a16107", '{"a":7}'),
  written("extension of 1 byte as c7", "c7010507", '{"$ext":[5,"Bw=="]}'),
  written("extension of 1 byte as c8", "c800010507", '{"$ext":[5,"Bw=="]}'),
  written("extension of 1 byte as c9", "c9000000010507", '{"$ext":[5,"Bw=="]}'),
];
