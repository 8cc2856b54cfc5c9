/**
 * Writes the vectors of this folder: `bun test/vectors/generate.ts`. Hex comes from @msgpack/msgpack or was written by
 * hand, never from the code that the vectors test. What the files hold is told in `README.md`.
 */
import { join } from "node:path";
import { Encoder, ExtData } from "@msgpack/msgpack";
import { type Case, clientCases, codeCases, serverCases } from "./cases.ts";
import { invalidCases } from "./invalid-cases.ts";
import { alternativeCases, payloadCases } from "./payload-cases.ts";

// Shortest integers; beyond 2^32 as 64 bits, which this encoder writes for bigints only.
const encoder = new Encoder({ useBigInt64: true, ignoreUndefined: true });

/** The files by name, as they are to stand in this folder. */
export function renderVectors(): Readonly<Record<string, string>> {
  return {
    "client.json": render(clientCases.map(line)),
    "server.json": render(serverCases.map(line)),
    "codes.json": render(codeCases.map(line)),
    "payloads.json": render(payloadCases.map(line)),
    "alternatives.json": render(alternativeCases.map(line)),
    "invalid.json": render(invalidCases.map((vector) => JSON.stringify(vector))),
  };
}

/** One vector a line: a changed vector is a changed line. */
function render(lines: readonly string[]): string {
  return `[\n${lines.join(",\n")}\n]\n`;
}

/** `value` is the JSON text itself, so that it keeps what `JSON.stringify` would lose, as in -0. */
function line({ name, value, msgpack, json }: Case): string {
  if (value !== undefined) {
    const hex = Buffer.from(encoder.encode(native(value))).toString("hex");
    const text = JSON.stringify(value);
    return `{"name":${JSON.stringify(name)},"value":${text},"msgpack":"${hex}","json":${JSON.stringify(text)}}`;
  }
  if (typeof json !== "string") return JSON.stringify({ name, msgpack, json });
  return `{"name":${JSON.stringify(name)},"value":${json},"msgpack":${JSON.stringify(msgpack)},"json":${JSON.stringify(json)}}`;
}

/** A value in JSON form as the encoder takes it. */
function native(value: unknown): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) && Math.abs(value) > 2 ** 31 ? wide(value) : value;
  if (Array.isArray(value)) return value.map(native);
  if (typeof value !== "object" || value === null) return value;
  const { $bin, $int, $ext, ...rest } = value as { $bin?: string; $int?: string; $ext?: [number, string] };
  if (Object.keys(value).length > 1 || Object.keys(rest).length > 0) {
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, native(field)]));
  }
  if ($bin !== undefined) return Buffer.from($bin, "base64");
  if ($int !== undefined) return BigInt($int);
  if ($ext !== undefined) return new ExtData($ext[0], Buffer.from($ext[1], "base64"));
  return value;
}

function wide(value: number): number | bigint {
  return value > 2 ** 32 - 1 || value < -(2 ** 31) ? BigInt(value) : value;
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(renderVectors())) await Bun.write(join(import.meta.dir, name), text);
}
