/** The committed vectors against our readers and writers. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import * as codes from "../../../src/core/codes.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { jsonToPayload, payloadToJson } from "../../../src/wire/json-payload.ts";
import { op } from "../../../src/wire/messages.ts";
import { renderVectors } from "../../vectors/generate.ts";
import { loadInvalid, loadVectors, type Vector } from "../../vectors/load.ts";
import { hexOf, jsonReader, msgpackReader, readAll, writeBoth } from "./support.ts";

const client = await loadVectors("client");
const server = await loadVectors("server");
const codeVectors = await loadVectors("codes");
const payloads = await loadVectors("payloads");
const alternatives = await loadVectors("alternatives");
const invalid = await loadInvalid();

/** Where the payload stands in the vectors of payloads: behind `[18, "t", nil,`. */
const payloadStart = 5;
const payloadTextStart = '[18,"t",null,'.length;

test("the committed vectors are those that the generator writes", async () => {
  for (const [name, text] of Object.entries(renderVectors())) {
    expect(await Bun.file(join(import.meta.dir, "../../vectors", name)).text()).toBe(text);
  }
});

test("the vectors hold every op and every code", () => {
  const ops = new Set([...client, ...server, ...codeVectors].map(({ value }) => value[0]));
  expect(ops).toEqual(new Set(Object.values(op)) as Set<unknown>);
  const seen = new Set(codeVectors.map(({ value }) => codeOf(value)));
  const tables = [codes.errors, codes.gaps, codes.unsubscribes, codes.disconnects];
  const known = tables.flatMap((table) => Object.values(table).map(({ code }) => code));
  expect(seen).toEqual(new Set(known) as Set<unknown>);
});

function codeOf(value: readonly unknown[]): unknown {
  if (value[0] === op.gap) return (value[4] as { code: number }).code;
  return value[value[0] === op.disconnect ? 1 : 2];
}

describe("client messages", () => {
  for (const vector of client) {
    test(`both readers read the same: ${vector.name}`, () => {
      const [fromBytes, ...more] = readAll(msgpackReader(), vector.msgpack);
      expect(more).toEqual([]);
      expect(readAll(jsonReader(), vector.json)).toEqual([fromBytes as never]);
      const message = (fromBytes as { message: Record<string, unknown> }).message;
      expect(message["op"]).toBe(vector.value[0]);
      expect(message["ref"]).toBe(vector.value[1]);
      expectFields(message, vector);
    });
  }
});

/** The name, the token and every known option stand in the message as they stand in the value. */
function expectFields(message: Record<string, unknown>, { value }: Vector): void {
  const name: unknown =
    message["tag"] ?? message["pattern"] ?? (value[0] === op.refresh ? message["token"] : undefined);
  if (name !== undefined) expect(Bun.deepEquals(name, value[2])).toBe(true);
  const options = (value[0] === op.connect ? value[2] : value[value[0] === op.publish ? 4 : 3]) ?? {};
  const fields = (value[0] === op.publish ? message["options"] : message) as Record<string, unknown> | null;
  for (const [key, option] of Object.entries(options)) {
    if (fields === null || !(key in fields)) continue;
    if (key === "info") expect(fields[key] === null).toBe(option === null);
    else if (key === "since") expect(fields[key]).toEqual(sinceOf(option));
    else if (typeof option === "object" && option !== null) expect(fields[key]).toBe("\x00\xff\x80");
    else expect(fields[key]).toBe(option);
  }
}

function sinceOf(since: unknown): unknown {
  const positionOf = ([epoch, offset]: readonly number[]) => ({ epoch, offset });
  if (since === null || Array.isArray(since)) return since === null ? null : positionOf(since as number[]);
  return new Map(Object.entries(since as Record<string, number[]>).map(([tag, at]) => [tag, positionOf(at)]));
}

describe("server messages", () => {
  for (const vector of [...server, ...codeVectors]) {
    test(`both writers write: ${vector.name}`, () => {
      const written = writeBoth(vector.value);
      expect(hexOf(written.msgpack)).toBe(vector.msgpack.toString("hex"));
      expect(written.json).toBe(vector.json);
    });
  }
});

describe("payloads", () => {
  for (const vector of payloads) {
    test(`MessagePack becomes JSON and JSON becomes MessagePack: ${vector.name}`, () => {
      expect(payloadToJson(vector.msgpack, payloadStart)).toBe(vector.json.slice(payloadTextStart, -1));
      const w = new ByteWriter();
      jsonToPayload((JSON.parse(vector.json) as unknown[])[3], w);
      expect(hexOf(w.view()) === hexOf(vector.msgpack, payloadStart)).toBe(true);
    });

    test(`both readers take the payload: ${vector.name}`, () => {
      const head = [Buffer.from("940407a174", "hex"), vector.msgpack.subarray(payloadStart)];
      const fromBytes = readAll(msgpackReader(), Buffer.concat(head));
      const fromText = readAll(jsonReader(), `[4,7,"t",${vector.json.slice(payloadTextStart)}`);
      expect("message" in (fromBytes[0] as object)).toBe(true);
      expect(Bun.deepEquals(fromBytes, fromText)).toBe(true);
    });
  }

  for (const vector of alternatives) {
    test(`MessagePack becomes JSON: ${vector.name}`, () => {
      expect(payloadToJson(vector.msgpack, payloadStart)).toBe(vector.json.slice(payloadTextStart, -1));
    });
  }
});

describe("invalid frames", () => {
  for (const { name, frame, code, ref, rest } of invalid) {
    const form = typeof frame === "string" ? "text" : "bytes";
    test(`the reader refuses ${form}: ${name}`, () => {
      const [outcome] = readAll(typeof frame === "string" ? jsonReader() : msgpackReader(), frame);
      const expected = { code, ref, hostile: rest === "closed", recoverable: rest === "kept" };
      expect(outcome).toEqual(expected);
    });

    test(`the message behind is ${rest === "kept" ? "read" : "not read"} after ${form}: ${name}`, () => {
      const outcomes =
        typeof frame === "string"
          ? readAll(jsonReader(), `${frame}\n[9,5]`)
          : readAll(msgpackReader(), Buffer.concat([frame, Buffer.of(0x92, 9, 5)]));
      const last = { message: { op: op.ping, ref: 5 } };
      if (rest === "kept") expect(outcomes[1] as unknown).toEqual(last);
      else expect(outcomes).not.toContainEqual(last as never);
    });
  }
});
