/** The reader of text frames, beyond what the vectors show. */
import { expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { errors } from "../../../src/core/codes.ts";
import type { PublishMessage } from "../../../src/wire/messages.ts";
import { JsonMessageReader } from "../../../src/wire/read-json.ts";
import { hexOf, jsonReader, limits, readAll } from "./support.ts";

const ping = (ref: number): unknown => ({ message: { op: 9, ref } });

test("messages stand on lines; empty lines, spaces and carriage returns do not matter", () => {
  expect(readAll(jsonReader(), "\n[9,1]\r\n\r\n  [9 , 2]  \n[9,3]\n") as unknown[]).toEqual([
    ping(1),
    ping(2),
    ping(3),
  ]);
  expect(readAll(jsonReader(), "")).toEqual([]);
  expect(readAll(jsonReader(), "\n \r\n")).toEqual([]);
  expect(readAll(jsonReader(), "[9,1]\n ") as unknown[]).toEqual([ping(1)]);
  expect(readAll(jsonReader(), "\n\u2028\n\n\t[9,1]\n\n") as unknown[]).toEqual([ping(1)]);
});

test("a line that is refused does not lose the next one", () => {
  const outcomes = readAll(jsonReader(), '[9,1\n[30,5]\n"x"\n[4,6,"t",{"$bin":1}]\n[9,2]');
  expect(outcomes as unknown[]).toEqual([
    { code: errors.malformed.code, ref: 0, hostile: false, recoverable: true },
    { code: errors.unknownOp.code, ref: 5, hostile: false, recoverable: true },
    { code: errors.malformed.code, ref: 0, hostile: false, recoverable: true },
    { code: errors.badRequest.code, ref: 6, hostile: false, recoverable: true },
    ping(2),
  ]);
});

test("brackets within strings do not count as nesting", () => {
  const text = `${"[{".repeat(500)}\\"${"[".repeat(500)}\\\\`;
  expect(readAll(jsonReader(), `[4,1,"t","${text}"]`)[0]).toHaveProperty("message");
});

test("the deepest payload that is allowed fits in its longest form", () => {
  const deep = `${'{"$map":[[1,'.repeat(64)}{"$ext":[1,"AA=="]}${"]]}".repeat(64)}`;
  expect(readAll(jsonReader(), `[4,1,"t",${deep}]`)[0]).toHaveProperty("message");
  const deeper = `{"$map":[[1,${deep}]]}`;
  expect(readAll(jsonReader(), `[4,1,"t",${deeper}]`)[0]).toMatchObject({ code: errors.tooDeep.code, hostile: true });
});

test("what $raw hides is nested within the same bound", () => {
  const raw = Buffer.concat([Buffer.alloc(64, 0x91), Buffer.of(0xc0)]).toString("base64");
  expect(readAll(jsonReader(), `[4,1,"t",{"$raw":"${raw}"}]`)[0]).toHaveProperty("message");
  expect(readAll(jsonReader(), `[4,1,"t",[{"$raw":"${raw}"}]]`)[0]).toMatchObject({ code: errors.tooDeep.code });
});

test("publish gives a fresh frame that holds the tag and the payload", () => {
  const reader = jsonReader();
  reader.load('[4,1,"tü",[1,2]]\n[4,2,["a","b"],3]');
  const first = reader.next() as PublishMessage;
  const { frame } = first;
  expect(Buffer.from(frame.subarray(first.tagStart, first.tagEnd)).toString()).toBe("tü");
  expect(hexOf(frame, first.payloadStart, first.payloadEnd)).toBe("920102");
  const second = reader.next() as PublishMessage;
  expect([second.tags, second.tagStart, second.tagEnd, hexOf(second.frame)]).toEqual([["a", "b"], 0, 0, "03"]);
  expect(hexOf(frame)).toBe("74c3bc920102");
});

test("the limit of payloads counts their MessagePack bytes", () => {
  const reader = new JsonMessageReader({ ...limits, payloadMaxBytes: 5 });
  expect(readAll(reader, '[4,1,"t","ab\\u0041d"]')[0]).toHaveProperty("message");
  expect(readAll(reader, '[4,1,"t","abcde"]')[0]).toMatchObject({ code: errors.payloadTooLarge.code });
});

test("a key named __proto__ is a key like others", () => {
  expect(readAll(jsonReader(), '[1,1,{"__proto__":{"echo":true}}]')[0]).toMatchObject({ message: { echo: null } });
  const reader = jsonReader();
  reader.load('[4,1,"t",{"__proto__":1}]');
  const publish = reader.next() as PublishMessage;
  expect(hexOf(publish.frame, publish.payloadStart)).toBe("81a95f5f70726f746f5f5f01");
});

test("rest() hands over the lines that were not read, once", () => {
  const reader = jsonReader();
  reader.load("[1,1]\n[9,2]\n[9,3]");
  reader.next();
  expect(reader.rest()).toBe("[9,2]\n[9,3]");
  expect(reader.rest()).toBeNull();
  expect(reader.next()).toBeNull();
});

test("a large payload does not stretch the reader's memory for good", () => {
  const reader = jsonReader();
  const large = "x".repeat(500_000);
  expect(readAll(reader, JSON.stringify([4, 1, "t", large]))[0]).toHaveProperty("message");
  const [outcome] = readAll(reader, '[4,2,"t","y"]') as { message: { payload: string } }[];
  expect(outcome?.message.payload).toBe(hexOf(encode("y")));
});
