/** Bodies of publishes: both forms mean the same, and no bytes do anything but mean something or be refused. */
import { expect, test } from "bun:test";
import { decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { errors } from "../../../../src/core/codes.ts";
import { ProtocolError } from "../../../../src/core/errors.ts";
import { isTag } from "../../../../src/core/tag.ts";
import { type Outgoing, PublicationReader, type Publications } from "../../../../src/gateway/api/publications.ts";

const json = "application/json";
const msgpack = "application/msgpack";
const limits = { payloadMaxBytes: 4096, depthMax: 6 };
const reader = new PublicationReader(limits);
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** What is to be published, with payloads decoded; refusals as their codes. */
function meaning({ batch, messages }: Publications): unknown {
  return {
    batch,
    messages: messages.map((message) => {
      if (message instanceof ProtocolError) return message.code.code;
      const { frame, payloadStart, payloadEnd, ...rest } = message;
      return { ...rest, payload: decode(frame.subarray(payloadStart, payloadEnd)) };
    }),
  };
}

/** What a body of this type means, or the code that it is refused with. */
function read(body: Uint8Array, type: string): unknown {
  try {
    const found = reader.messages(body, type);
    return found === null ? null : meaning(found);
  } catch (error) {
    if (error instanceof ProtocolError) return error.code.code;
    throw error;
  }
}

const payloads = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
    fc.string({ unit: "grapheme" }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;
const tags = fc.oneof(
  fc.constantFrom("a", "plant/7/temp", "#", "+/x", ""),
  fc.string({ unit: "grapheme", maxLength: 20 }).filter((tag) => tag.isWellFormed() && !tag.includes("\0")),
);
const messages = fc.record(
  {
    tag: tags,
    tags: fc.array(tags, { maxLength: 18 }),
    payload: payloads,
    id: fc.option(fc.string({ unit: "grapheme", maxLength: 12 })),
    reply: fc.option(tags),
    unknown: payloads,
  },
  { requiredKeys: ["payload"], noNullPrototype: true },
);
const one = messages.map(({ payload, id = null }) => ({ tag: "a", payload, id }));

test("a message means the same in JSON and in MessagePack", () => {
  fc.assert(
    fc.property(fc.oneof(one, messages), (message) => {
      expect(read(encode(message), msgpack)).toEqual(read(text(message), json));
    }),
  );
});

test("a batch means the same in both forms, message by message", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(one, messages, fc.integer()), { minLength: 1, maxLength: 8 }), (list) => {
      const batch = { messages: list };
      const found = read(encode(batch), msgpack);
      expect(found).toEqual(read(text(batch), json));
      expect((found as { messages: unknown[] }).messages).toHaveLength(list.length);
    }),
  );
});

test("a good message is read as it was written", () => {
  const good = fc.record({ tag: tags.filter(isTag), payload: payloads }, { noNullPrototype: true });
  fc.assert(
    fc.property(good, ({ tag, payload }) => {
      const expected = { tags: [tag], several: false, id: null, reply: null, payload };
      expect(read(encode({ tag, payload }), msgpack)).toEqual({ batch: false, messages: [expected] });
    }),
  );
});

test("an id of bytes is the same in both forms", () => {
  const bytes = new Uint8Array([0, 255, 1]);
  const message = { tag: "a", payload: 1 };
  expect(read(encode({ ...message, id: bytes }), msgpack)).toEqual(
    read(text({ ...message, id: { $bin: "AP8B" } }), json),
  );
});

const types = fc.constantFrom(json, msgpack, "text/plain", "application/octet-stream", "image/png");

test("any bytes of any type are published or refused with a code", () => {
  const seeds = [
    encode({ tag: "a", payload: [1, { b: "c" }], id: "x" }),
    text({ messages: [{ tag: "a", payload: 1 }] }),
  ];
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { minLength: 1, maxLength: 4 }))
    .map(([seed, changes]) => {
      const bytes = new Uint8Array(seed);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), mutated), types, (body, type) => {
      for (const bare of [false, true]) {
        try {
          if (bare) reader.payload(body, type);
          else reader.messages(body, type);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test.each([json, msgpack])("depth and size are bounded per payload, wherever it stands: %s", (type) => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
  const write = (value: unknown) => (type === json ? text(value) : encode(value));
  const codes = (payload: unknown) => {
    const found = read(write({ messages: [{ tag: "a", payload }] }), type) as { messages: unknown[] } | number;
    return [read(write({ tag: "a", payload }), type), typeof found === "number" ? found : found.messages[0]];
  };
  expect(codes(nested(6)).map((found) => typeof found)).toEqual(["object", "object"]);
  expect(codes(nested(7))).toEqual([errors.tooDeep.code, errors.tooDeep.code]);
  expect(codes(nested(60))).toEqual([errors.tooDeep.code, errors.tooDeep.code]);
  expect(codes("x".repeat(4096 - 3)).map((found) => typeof found)).toEqual(["object", "object"]);
  expect(codes("x".repeat(4096))).toEqual([errors.payloadTooLarge.code, errors.payloadTooLarge.code]);
});

test("payloads of a MessagePack body stay where they came: nothing is copied", () => {
  const body = encode({
    messages: [
      { tag: "a", payload: "one" },
      { tag: "b", payload: "two" },
    ],
  });
  for (const message of reader.messages(body, msgpack)?.messages ?? []) expect((message as Outgoing).frame).toBe(body);
});

test("an id with a lone surrogate is refused, as it is over the wire: stored, it would be another id", () => {
  const body = new TextEncoder().encode('{"tag":"a","payload":1,"id":"\\ud800"}');
  expect(read(body, json)).toBe(errors.malformed.code);
});
