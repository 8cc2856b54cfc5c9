/** The readers of both forms of the wire, and the rendering of payloads as JSON. */
import { encode } from "@msgpack/msgpack";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { ProtocolError } from "../../../src/core/errors.ts";
import { Cursor } from "../../../src/wire/cursor.ts";
import { jsonToPayload, payloadToJson } from "../../../src/wire/json-payload.ts";
import { JsonMessageReader } from "../../../src/wire/read-json.ts";
import { MsgpackMessageReader } from "../../../src/wire/read-msgpack.ts";
import { loadInvalid, loadVectors } from "../../vectors/load.ts";
import type { Target } from "../engine.ts";
import { placeOf, scale } from "../place.ts";
import { canonical, skeleton } from "../reference.ts";
import { expectSame, isPortable, limits, readFrame, writeMessage } from "./wire-messages.ts";

const bytesMax = 4096;
/** Longer vectors are boundaries of lengths, which have tests of their own. */
const seedBytesMax = 1200;
const encoder = new TextEncoder();
const short = ({ length }: { readonly length: number }) => length <= seedBytesMax;

async function vectors() {
  const files = ["client", "server", "payloads", "alternatives"] as const;
  return (await Promise.all(files.map(loadVectors))).flat();
}

export const msgpackTarget: Target = {
  name: "msgpack",
  bytesMax,
  words: [
    ...[
      "token",
      "client",
      "since",
      "last",
      "presence",
      "info",
      "id",
      "echo",
      "reply",
      "limit",
      "alias",
      "a/+",
      "a/#",
      "$x",
    ].map((text) => encode(text)),
    Uint8Array.of(0x93, 9, 1),
    Uint8Array.of(0x94, 4, 1, 0xa1, 0x61),
    Uint8Array.of(0x91),
    Uint8Array.of(0x81, 0xa1, 0x61),
    Uint8Array.of(0x81, 0xc0),
    Uint8Array.of(0xc7, 12, 0xff),
    Uint8Array.of(0xa2, 0xed, 0xa0),
  ],
  async seeds() {
    const valid = (await vectors()).map(({ msgpack }) => msgpack);
    const invalid = (await loadInvalid()).map(({ frame }) => frame);
    return [...valid, ...invalid.filter((frame) => typeof frame !== "string")].filter(short);
  },
  open() {
    const reader = new MsgpackMessageReader(limits);
    const jsonReader = new JsonMessageReader(limits);
    return {
      run(input) {
        const { reads, signature } = readFrame(reader, input);
        for (const read of reads) {
          if (!isPortable(read)) continue;
          const { json, msgpack } = writeMessage(read);
          expectSame(read, jsonReader, json);
          expectSame(read, reader, msgpack);
        }
        return signature;
      },
    };
  },
};

export const jsonTarget: Target = {
  name: "json",
  bytesMax,
  words: [
    ...['{"$bin":"', '{"$int":"', '{"$num":"', '{"$ext":[', '{"$map":[[', '{"$raw":"', '"}', "]]}", "[", "]", "{", "}"],
    ...["\n", ",", ":", '"', '\\"', "\\ud800", "\\u0000", "null", "true", "1e400", "-0", "1.0", '"__proto__":'],
    ...['"since"', '"info"', '"id"', "NaN", "Infinity", "wA==", "4", "\u2028", "9007199254740993"],
  ],
  async seeds() {
    const valid = (await vectors()).map(({ json }) => json);
    const invalid = (await loadInvalid()).map(({ frame }) => frame);
    // The payloads of server messages, where a client would put them.
    const published = (await loadVectors("payloads")).map(({ json }) => json.replace('[18,"t",null,', '[4,1,"t",'));
    const texts = [...valid, ...published, ...invalid.filter((frame) => typeof frame === "string")];
    return texts.filter(short).map((text) => encoder.encode(text));
  },
  open() {
    const reader = new JsonMessageReader(limits);
    const msgpackReader = new MsgpackMessageReader(limits);
    return {
      run(input) {
        const { reads, signature } = readFrame(reader, Buffer.from(input).toString("utf8"));
        for (const read of reads) {
          if (!isPortable(read)) continue;
          const { json, msgpack } = writeMessage(read);
          expectSame(read, msgpackReader, msgpack);
          expectSame(read, reader, json);
        }
        return signature;
      },
    };
  },
};

/** Deeper than any payload that a client may send. */
const renderDepth = 512;

export const renderTarget: Target = {
  name: "render",
  bytesMax: 16_384,
  words: msgpackTarget.words,
  async seeds() {
    const wide = [0xdc, 0xdd, 0xde, 0xdf].map((head) => Uint8Array.of(head, 0, 0, 0, 2, 0xc0, 0xc3, 0x80, 0x80));
    return [...(await vectors()).map(({ msgpack }) => msgpack), ...wide].filter(short);
  },
  open() {
    const cursor = new Cursor(renderDepth);
    return {
      run(input) {
        cursor.load(input);
        try {
          cursor.skip(renderDepth);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          return placeOf(error);
        }
        const bytes = input.subarray(0, cursor.at);
        const text = payloadToJson(input, 0, cursor.at);
        checkText(text, bytes);
        const w = new ByteWriter();
        jsonToPayload(JSON.parse(text), w);
        const [mine, theirs] = [canonical(bytes), canonical(w.copy())];
        if (mine !== theirs) throw new Error(`Comes back as another value:\n${mine}\n${theirs}\n${text}`);
        return `${skeleton(bytes)} ${scale(bytes.length)} ${/\$\w+/g.exec(text)?.[0] ?? ""}`;
      },
    };
  },
};

function checkText(text: string, bytes: Uint8Array): void {
  if (Buffer.byteLength(text) > 6 * bytes.length + 4096) throw new Error(`${text.length} of ${bytes.length} bytes`);
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f]/.test(text)) throw new Error("A line of JSON has control characters");
}
