/** Reads the vectors of this folder, with the pieces of long ones put together. */
import { join } from "node:path";
import type { Case, Piece } from "./cases.ts";
import type { InvalidCase } from "./invalid-cases.ts";

export interface Vector {
  readonly name: string;
  readonly value: readonly unknown[];
  readonly msgpack: Buffer;
  readonly json: string;
}

export interface InvalidVector {
  readonly name: string;
  /** Bytes, or the text of the JSON form. */
  readonly frame: Buffer | string;
  readonly code: number;
  readonly ref: number;
  readonly rest: InvalidCase["rest"];
}

type VectorFile = "client" | "server" | "codes" | "payloads" | "alternatives";

export async function loadVectors(file: VectorFile): Promise<Vector[]> {
  const cases = (await read(file)) as readonly Case[];
  return cases.map(({ name, value, msgpack, json }) => {
    const text = whole(json);
    const parsed = value ?? (JSON.parse(text) as unknown[]);
    return { name, value: parsed, msgpack: Buffer.from(whole(msgpack), "hex"), json: text };
  });
}

export async function loadInvalid(): Promise<InvalidVector[]> {
  const cases = (await read("invalid")) as readonly InvalidCase[];
  return cases.map(({ name, msgpack, json, code, ref, rest }) => {
    const frame = msgpack === undefined ? whole(json) : Buffer.from(whole(msgpack), "hex");
    return { name, frame, code, ref, rest };
  });
}

async function read(name: string): Promise<unknown> {
  return Bun.file(join(import.meta.dir, `${name}.json`)).json();
}

function whole(pieces: string | readonly Piece[] | undefined): string {
  if (pieces === undefined || typeof pieces === "string") return pieces ?? "";
  return pieces.map((piece) => (typeof piece === "string" ? piece : piece[0].repeat(piece[1]))).join("");
}
