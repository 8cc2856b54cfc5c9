/** The writers of server messages, beyond what the vectors show. */
import { expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { Raw } from "../../../src/wire/messages.ts";
import { encodeMeta } from "../../../src/wire/meta.ts";
import { renderOk } from "../../../src/wire/write-json.ts";
import * as msgpack from "../../../src/wire/write-msgpack.ts";
import { hexOf, textOf } from "./support.ts";

function written(run: (w: ByteWriter) => void): string {
  const w = new ByteWriter();
  run(w);
  return hexOf(w.view());
}

test("the answers written by hand are what writeOk() writes", () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 32 - 1 }), fc.nat({ max: 2 ** 32 - 1 }), fc.maxSafeNat(), (ref, epoch, offset) => {
      const position = [epoch, offset];
      expect(written((w) => msgpack.writeAppended(w, ref, epoch, offset, false))).toBe(
        written((w) => msgpack.writeOk(w, ref, { position })),
      );
      expect(written((w) => msgpack.writeAppended(w, ref, epoch, offset, true))).toBe(
        written((w) => msgpack.writeOk(w, ref, { position, repeated: true })),
      );
      expect(written((w) => msgpack.writeEmptyOk(w, ref))).toBe(written((w) => msgpack.writeOk(w, ref, {})));
    }),
  );
});

test("messageSizeMax() is never less than a message takes", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });
  const offsets = fc.oneof(fc.constant(0), fc.maxSafeNat());
  fc.assert(
    fc.property(
      text,
      text,
      offsets,
      fc.nat({ max: 2 ** 32 - 1 }),
      fc.boolean(),
      (tag, pattern, offset, epoch, hasMeta) => {
        const payload = encode("payload");
        const body = Buffer.concat([payload, hasMeta ? encodeMeta({ id: "m" }) : Buffer.alloc(0)]);
        const [head, name] = [msgpack.encodeTagHead(tag), msgpack.encodePattern(pattern)];
        const w = new ByteWriter();
        msgpack.writeMessage(w, head, offset, body, 0, payload.length, body.length);
        expect(w.length).toBeLessThanOrEqual(msgpack.messageSizeMax(head.length, body.length, 0));
        w.reset();
        msgpack.writeWildcardMessage(w, head, offset, body, 0, payload.length, body.length, name, epoch);
        expect(w.length).toBeLessThanOrEqual(msgpack.messageSizeMax(head.length, body.length, name.length));
      },
    ),
  );
});

test("encodeMeta() leaves out what is not given", () => {
  expect(textOf(encodeMeta({ reply: "r", id: "i" }))).toBe('{"reply":"r","id":"i"}');
  expect(textOf(encodeMeta({ reply: "r", id: null }))).toBe('{"reply":"r"}');
  expect(textOf(encodeMeta({ id: "i" }))).toBe('{"id":"i"}');
  expect(encodeMeta({ reply: null })).toHaveLength(0);
});

test("a result holds bytes, payloads and maps in both forms, and nothing for what is undefined", () => {
  const result = {
    bytes: Uint8Array.of(0, 255),
    payload: new Raw(encode({ $bin: 1 })),
    positions: new Map([["$x/y", [1, 2]]]),
    none: undefined,
  };
  expect(renderOk(3, result)).toBe(
    '[16,3,{"bytes":{"$bin":"AP8="},"payload":{"$map":[["$bin",1]]},"positions":{"$x/y":[1,2]}}]',
  );
  const { bytes, payload, positions } = { bytes: result.bytes, payload: { $bin: 1 }, positions: { "$x/y": [1, 2] } };
  expect(written((w) => msgpack.writeOk(w, 3, result))).toBe(hexOf(encode([16, 3, { bytes, payload, positions }])));
});
