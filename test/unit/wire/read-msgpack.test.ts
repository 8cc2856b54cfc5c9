/** The reader of binary frames, beyond what the vectors show. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { errors } from "../../../src/core/codes.ts";
import { offsetMax } from "../../../src/core/position.ts";
import { tagBytesMax } from "../../../src/core/tag.ts";
import type { PublishMessage } from "../../../src/wire/messages.ts";
import { wireLimits } from "../../../src/wire/messages.ts";
import { MsgpackMessageReader } from "../../../src/wire/read-msgpack.ts";
import { bytes, hexOf, limits, msgpackReader, readAll } from "./support.ts";

const ping = (ref: number): unknown => ({ message: { op: 9, ref } });

describe("frames of several messages", () => {
  test("are read one message after the other", () => {
    const frame = Buffer.concat([encode([9, 1]), encode([9, 2]), encode([9, 3])]);
    expect(readAll(msgpackReader(), frame) as unknown[]).toEqual([ping(1), ping(2), ping(3)]);
  });

  test("go on behind a message whose extent was found", () => {
    const frame = Buffer.concat([encode([30, 5, { any: [1] }]), encode([9, 2]), encode([2, 6]), encode([9, 3])]);
    expect(readAll(msgpackReader(), frame) as unknown[]).toEqual([
      { code: errors.unknownOp.code, ref: 5, hostile: false, recoverable: true },
      ping(2),
      { code: errors.badRequest.code, ref: 6, hostile: false, recoverable: true },
      ping(3),
    ]);
  });

  test("end at a message that is not well-formed", () => {
    const frame = Buffer.concat([encode([9, 1]), bytes("9209c1"), encode([9, 3])]);
    expect(readAll(msgpackReader(), frame) as unknown[]).toEqual([
      ping(1),
      { code: errors.malformed.code, ref: 0, hostile: false, recoverable: false },
    ]);
    expect(readAll(msgpackReader(), Buffer.concat([bytes("c1"), encode([9, 3])]))).toHaveLength(1);
  });

  test("a field that is refused hides no bytes that are not well-formed behind it", () => {
    const [outcome] = readAll(msgpackReader(), bytes("940407a0c1"));
    expect(outcome).toEqual({ code: errors.malformed.code, ref: 7, hostile: false, recoverable: false });
  });

  test("next() answers null from then on", () => {
    const reader = msgpackReader();
    reader.load(bytes("c1"));
    expect(() => reader.next()).toThrow("0xc1");
    expect(reader.next()).toBeNull();
    reader.load(encode([9, 1]));
    reader.next();
    expect(reader.next()).toBeNull();
    expect(reader.next()).toBeNull();
  });

  test("rest() hands over what was not read, once", () => {
    const reader = msgpackReader();
    reader.load(Buffer.concat([encode([1, 1]), encode([9, 2])]));
    reader.next();
    expect(hexOf(reader.rest() ?? Buffer.alloc(0))).toBe("920902");
    expect(reader.rest()).toBeNull();
    expect(reader.next()).toBeNull();
  });
});

describe("publish", () => {
  test("gives extents in the frame itself, also where the frame is a view", () => {
    const message = encode([4, 7, "plant/7", { t: 1 }, { id: "m" }]);
    const frame = Buffer.concat([Buffer.alloc(5), message, Buffer.alloc(5)]).subarray(5, 5 + message.length);
    const reader = msgpackReader();
    reader.load(frame);
    const publish = reader.next() as PublishMessage;
    expect(publish.frame).toBe(frame);
    expect(Buffer.from(publish.frame.subarray(publish.tagStart, publish.tagEnd)).toString()).toBe("plant/7");
    expect(hexOf(publish.frame, publish.payloadStart, publish.payloadEnd)).toBe(hexOf(encode({ t: 1 })));
    expect(publish.options).toEqual({ id: "m", echo: null, reply: null });
  });

  test("reuses one object, and nothing of one message shows in the next", () => {
    const reader = msgpackReader();
    reader.load(Buffer.concat([encode([4, 1, ["a", "b"], 1, { id: "x", echo: true }]), encode([4, 2, "c", 2])]));
    const first = reader.next() as PublishMessage;
    expect([first.tags, first.tagStart, first.tagEnd]).toEqual([["a", "b"], 0, 0]);
    const second = reader.next();
    expect(second).toBe(first);
    expect([first.ref, first.tags, first.options]).toEqual([2, null, null]);
  });

  test("forgets the options of an earlier message", () => {
    const reader = msgpackReader();
    reader.load(
      Buffer.concat([encode([4, 1, "a", 1, { id: "x", reply: "r" }]), encode([4, 2, "a", 1, { echo: false }])]),
    );
    reader.next();
    expect((reader.next() as PublishMessage).options).toEqual({ id: null, echo: false, reply: null });
  });

  test("leaves the UTF-8 and the characters of its one tag to the session", () => {
    const [outcome] = readAll(msgpackReader(), bytes("940407a1ffc0"));
    expect(outcome).toHaveProperty("message");
  });

  test("counts the bytes of the payload alone against the limit", () => {
    const reader = new MsgpackMessageReader({ ...limits, payloadMaxBytes: 5 });
    expect(readAll(reader, encode([4, 1, "a long enough tag", "abcd", { id: "also long" }]))[0]).toHaveProperty(
      "message",
    );
    expect(readAll(reader, encode([4, 1, "t", "abcde"]))[0]).toMatchObject({ code: errors.payloadTooLarge.code });
  });

  test("does not keep its frame alive once it was read", () => {
    const reader = msgpackReader();
    reader.load(encode([4, 1, "t", 1]));
    const publish = reader.next() as PublishMessage;
    reader.next();
    expect(publish.frame).toHaveLength(0);
  });
});

test("integers are read in any width", () => {
  expect(readAll(msgpackReader(), bytes("92cd0009cf0000000000000007")) as unknown[]).toEqual([ping(7)]);
});

test("the keys of options may be anything, also twice: the last one counts", () => {
  const frame = Buffer.concat([bytes("93010785"), encode("echo"), encode(true), encode(5), encode(1), bytes("90c0")]);
  const more = Buffer.concat([frame, bytes("a1ff"), encode(1), encode("echo"), encode(false)]);
  expect(readAll(msgpackReader(), more)[0]).toMatchObject({ message: { echo: false } });
});

test("info is a copy that outlives the frame", () => {
  const reader = msgpackReader();
  const frame = Buffer.from(encode([2, 1, "t", { info: "abc" }]));
  reader.load(frame);
  const message = reader.next() as { info: Uint8Array };
  frame.fill(0);
  expect(hexOf(message.info)).toBe(hexOf(encode("abc")));
});

test("options have room for as many positions as `since` may name, with the longest tags and the largest numbers", () => {
  const { sincePerPatternMax: count } = wireLimits;
  const names = Array.from({ length: count }, (_, i) => String(i).padStart(tagBytesMax, "x"));
  const since = Object.fromEntries(names.map((tag) => [tag, [2 ** 32 - 1, offsetMax]]));
  const info = "i".repeat(wireLimits.presenceInfoBytesMax - 3);
  const outcomes = readAll(msgpackReader(), encode([2, 1, "#", { since, last: 2 ** 32 - 1, presence: false, info }]));
  expect(outcomes).toMatchObject([{ message: { since: { size: count } } }]);
});
