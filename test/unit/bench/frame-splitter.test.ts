/** WebSocket frames as the driver reads and writes them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FrameSplitter, frameOp, type FrameSink, writeFrameHeader } from "../../../bench/load/frame-splitter.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";

interface Frame {
  readonly op: number;
  readonly payload: Uint8Array;
  readonly fin?: boolean;
  readonly compressed?: boolean;
}

/** As a server sends it. */
function frame({ op, payload, fin = true, compressed = false }: Frame): Buffer {
  const w = new ByteWriter();
  w.u8((fin ? 0x80 : 0) | (compressed ? 0x40 : 0) | op);
  if (payload.length < 126) w.u8(payload.length);
  else if (payload.length < 2 ** 16) {
    w.u8(126);
    w.u16(payload.length);
  } else {
    w.u8(127);
    w.u64(payload.length);
  }
  w.append(payload);
  return Buffer.from(w.copy());
}

function recorder() {
  const found: string[] = [];
  const sink: FrameSink = {
    message: (bytes, start, end, compressed) =>
      found.push(`message${compressed ? " compressed" : ""} ${Bun.hash(bytes.slice(start, end))}`),
    control: (op, bytes, start, end) => found.push(`${op} ${Bun.hash(bytes.slice(start, end))}`),
    broken: (reason) => found.push(`broken: ${reason}`),
  };
  return { found, splitter: new FrameSplitter(sink) };
}

function split(bytes: Uint8Array, cuts: readonly number[] = []): readonly string[] {
  const { found, splitter } = recorder();
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    // The splitter may keep nothing of a chunk: it is gone after the call.
    const chunk = bytes.slice(at, cut);
    splitter.push(chunk);
    chunk.fill(0xff);
    at = cut;
  }
  return found;
}

const lengths = fc.oneof(fc.nat({ max: 130 }), fc.constantFrom(125, 126, 127, 65_535, 65_536), fc.nat({ max: 3000 }));
const payloads = lengths.chain((length) => fc.nat({ max: 255 }).map((byte) => new Uint8Array(length).fill(byte)));
const controls = fc.record({
  op: fc.constantFrom(frameOp.ping, frameOp.pong, frameOp.close),
  payload: fc.uint8Array({ maxLength: 125 }),
});

/** The frames of one message in `parts`, with control frames between them, and what is to be found. */
const messages = fc
  .record({
    parts: fc.array(payloads, { minLength: 1, maxLength: 4 }),
    between: fc.array(controls, { maxLength: 2 }),
    op: fc.constantFrom(frameOp.text, frameOp.binary),
    compressed: fc.boolean(),
  })
  .map(({ parts, between, op, compressed }) => {
    const bytes: Buffer[] = [];
    const expected: string[] = [];
    for (const [i, payload] of parts.entries()) {
      const first = i === 0;
      const fin = i === parts.length - 1;
      bytes.push(frame({ op: first ? op : frameOp.continuation, payload, fin, compressed: first && compressed }));
      if (fin) break;
      for (const control of between) {
        bytes.push(frame(control));
        expected.push(`${control.op} ${Bun.hash(control.payload)}`);
      }
    }
    expected.push(`message${compressed ? " compressed" : ""} ${Bun.hash(Buffer.concat(parts))}`);
    return { bytes: Buffer.concat(bytes), expected };
  });

describe("FrameSplitter", () => {
  test("finds the same messages wherever the bytes are cut", () => {
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(messages, { minLength: 1, maxLength: 5 }), cuts, (several, places) => {
        const bytes = Buffer.concat(several.map((message) => message.bytes));
        const expected = several.flatMap((message) => message.expected);
        const sorted = places.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b);
        expect(split(bytes, sorted)).toEqual(expected);
      }),
    );
  });

  test("finds them byte by byte", () => {
    const parts = [new Uint8Array(0), new Uint8Array(5).fill(1), new Uint8Array(130).fill(2), new Uint8Array(70_000)];
    const bytes = Buffer.concat(parts.map((payload) => frame({ op: frameOp.binary, payload })));
    const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
    expect(split(bytes, cuts)).toEqual(parts.map((payload) => `message ${Bun.hash(payload)}`));
  });

  test("begins where it is told to in the first chunk", () => {
    const { found, splitter } = recorder();
    const payload = Uint8Array.of(1, 2);
    splitter.push(Buffer.concat([Buffer.from("HTTP"), frame({ op: frameOp.binary, payload })]), 4);
    expect(found).toEqual([`message ${Bun.hash(payload)}`]);
  });

  test.each([
    ["a mask", [0x82, 0x81, 0, 0, 0, 0, 1]],
    ["reserved bits", [0xa2, 0x00]],
    ["an unknown opcode", [0x83, 0x00]],
    ["a continuation of nothing", [0x80, 0x00]],
    ["a message within a fragmented one", [0x02, 0x00, 0x82, 0x00]],
    ["a fragmented ping", [0x09, 0x00]],
    ["a long ping", [0x89, 126, 0, 126, ...new Array<number>(126).fill(0)]],
    ["a length that cannot be", [0x82, 127, 0, 1, 0, 0, 0, 0, 0, 0]],
  ])("gives up at %s, and finds nothing more", (_, bytes) => {
    const more = frame({ op: frameOp.binary, payload: Uint8Array.of(1) });
    const found = split(Buffer.concat([Buffer.from(bytes), more]));
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith("broken: ");
    expect(split(Buffer.concat([Buffer.from(bytes), more]), [1, 2])).toEqual(found);
  });
});

test("headers that are written have the lengths of RFC 6455 and a mask of zeros", () => {
  const header = (length: number) => {
    const w = new ByteWriter();
    writeFrameHeader(w, frameOp.binary, length);
    return [...w.copy()];
  };
  expect(header(125)).toEqual([0x82, 0x80 | 125, 0, 0, 0, 0]);
  expect(header(126)).toEqual([0x82, 0xfe, 0, 126, 0, 0, 0, 0]);
  expect(header(65_535)).toEqual([0x82, 0xfe, 255, 255, 0, 0, 0, 0]);
  expect(header(65_536)).toEqual([0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
});
