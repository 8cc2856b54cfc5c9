import { expect, test } from "bun:test";
import { decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { decodeFrame, encodePayload, encodePublish, encodePublishBody } from "../../../src/client/codec.ts";
import { op, Raw } from "../../../src/wire/messages.ts";

function decoded(frame: Uint8Array, raw = false): unknown[] {
  const messages: unknown[] = [];
  expect(decodeFrame(frame, raw, messages)).toBe(true);
  return messages;
}

test("messages mean the same however they are gathered into frames", () => {
  const message = fc
    .tuple(fc.constantFrom(16, 18, 99), fc.string(), fc.jsonValue())
    .filter(([, , v]) => !JSON.stringify(v).includes("__proto__"));
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.nat(5), { minLength: 1 }), (messages, sizes) => {
      const got: unknown[] = [];
      for (let at = 0, i = 0; at < messages.length; i++) {
        const size = 1 + sizes[i % sizes.length]!;
        got.push(...decoded(Buffer.concat(messages.slice(at, at + size).map((part) => encode(part)))));
        at += size;
      }
      expect(got).toEqual(messages.map((part) => decode(encode(part))));
    }),
  );
});

test("an odd payload does not take its frame with it", () => {
  const odd = Buffer.concat([Uint8Array.of(0x94, op.message), encode("t"), Uint8Array.of(0xc0, 0x81, 0xc0, 0xc3)]);
  const frame = Buffer.concat([encode([18, "a", 1, "x"]), odd, encode([18, "b", 2, "y"])]);
  expect(decoded(frame)).toEqual([
    [18, "a", 1, "x"],
    [18, "t", null, new Map([[null, true]])],
    [18, "b", 2, "y"],
  ]);
});

test("a frame that is not well-formed gives what came before it", () => {
  const messages: unknown[] = [];
  expect(decodeFrame(Buffer.concat([encode([18, "a", 1, "x"]), Uint8Array.of(0x92, 1)]), false, messages)).toBe(false);
  expect(messages).toEqual([[18, "a", 1, "x"]]);
});

test("with raw, payloads of messages and of histories stay MessagePack, and nothing else does", () => {
  const frame = Buffer.concat([
    encode([op.message, "a", 1, { deep: [1] }, { reply: "r" }]),
    encode([op.message, "a", 2, null]),
    encode([op.ok, 7, { position: [1, 2], messages: [[1, "x", null, 5]], more: false }]),
    encode([op.gap, "a", 1, 2, { code: 202 }]),
  ]);
  expect(decoded(frame, true)).toEqual([
    [op.message, "a", 1, new Raw(encode({ deep: [1] })), { reply: "r" }],
    [op.message, "a", 2, new Raw(encode(null))],
    [op.ok, 7, { position: [1, 2], messages: [[1, new Raw(encode("x")), null, 5]], more: false }],
    [op.gap, "a", 1, 2, { code: 202 }],
  ]);
});

test("a publish is the same message whatever its ref, and leaves out options that are not given", () => {
  const body = encodePublishBody("t", encodePayload({ a: 1 }), { id: "i", echo: undefined });
  for (const ref of [0, 1, 200, 70_000, 0xffff_ffff])
    expect(decode(encodePublish(ref, body))).toEqual([4, ref, "t", { a: 1 }, { id: "i" }]);
  const plain = encodePublishBody(["t", "u"], encodePayload(new Raw(encode("done"))), { id: undefined });
  expect(decode(encodePublish(1, plain))).toEqual([4, 1, ["t", "u"], "done"]);
});
