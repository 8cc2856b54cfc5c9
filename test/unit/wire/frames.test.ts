/** How messages gather in frames: bounded, in order, handed over together. */
import { expect, test } from "bun:test";
import { decodeMulti, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { createFrames, MessageView } from "../../../src/wire/frames.ts";
import type { Lane } from "../../../src/wire/messages.ts";
import { gatheredFrameMax } from "../../../src/wire/messages.ts";
import { encodeTagHead } from "../../../src/wire/write-msgpack.ts";

const lanes: readonly Lane[] = ["msgpack", "json"];
const tag = { tag: "a", head: encodeTagHead("a") };

/** Frames with what was handed over, as messages. */
function open(lane: Lane) {
  const handed: { readonly bytes: number; readonly messages: readonly unknown[] }[] = [];
  const frames = createFrames(lane, {
    write(frame) {
      const messages =
        typeof frame === "string"
          ? frame.split("\n").map((line) => JSON.parse(line) as unknown)
          : [...decodeMulti(frame.slice())];
      handed.push({ bytes: Buffer.byteLength(frame), messages });
    },
  });
  const view = new MessageView();
  const send = (payload: string) => {
    const bytes = encode(payload);
    frames.message(view.set(tag, 0, 0).body(bytes, 0, bytes.length, bytes.length), null);
  };
  return { frames, handed, send };
}

for (const lane of lanes) {
  test(`${lane}: messages leave in the order in which they came, in frames of at most 4,096 bytes or alone`, () => {
    const length = fc.oneof(fc.nat(200), fc.nat(2000), fc.constantFrom(4080, 4085, 4088, 4090, 4096, 9000));
    fc.assert(
      fc.property(fc.array(fc.tuple(length, fc.nat(9)), { maxLength: 60 }), (steps) => {
        const { frames, handed, send } = open(lane);
        const sent = steps.map(([size, flush], i) => {
          const payload = `${i}${"x".repeat(size)}`;
          send(payload);
          if (flush === 0) frames.flush();
          return payload;
        });
        frames.flush();
        expect(frames.waiting).toBe(0);
        const got = handed.flatMap(({ messages }) => messages.map((message) => (message as unknown[])[3]));
        expect(got).toEqual(sent);
        for (const { bytes, messages } of handed) {
          if (messages.length > 1) expect(bytes).toBeLessThanOrEqual(gatheredFrameMax);
        }
      }),
    );
  });

  test(`${lane}: frames that are full wait for the flush, eight at most`, () => {
    const { frames, handed, send } = open(lane);
    const payload = "x".repeat(1000);
    for (let i = 0; i < 8 * 4; i++) send(payload);
    expect(handed).toHaveLength(0);
    expect(frames.waiting).toBeGreaterThan(8 * 4000 - 1);
    send(payload);
    expect(handed).toHaveLength(8);
    expect(frames.waiting).toBeLessThan(gatheredFrameMax);
    frames.flush();
    expect(handed.map(({ messages }) => messages.length)).toEqual([...new Array<number>(8).fill(4), 1]);
  });

  test(`${lane}: frames that leave together do so in one piece where the target can, one alone without it`, () => {
    const written: string[] = [];
    const frames = createFrames(lane, {
      write: () => void written.push("frame"),
      cork(run) {
        written.push("begin");
        run();
        written.push("end");
      },
    });
    frames.error(1, 100, "x".repeat(3000));
    frames.flush();
    expect(written).toEqual(["frame"]);
    for (const ref of [1, 2, 3]) frames.error(ref, 100, "x".repeat(3000));
    frames.flush();
    expect(written).toEqual(["frame", "begin", "frame", "frame", "frame", "end"]);
  });

  // The frames behind one that could not be handed over were lost with it.
  test(`${lane}: a frame that the target does not take keeps none of the others back, and is told`, () => {
    let written = 0;
    const frames = createFrames(lane, {
      write() {
        if (++written === 2) throw new Error("not this one");
      },
    });
    for (const ref of [1, 2, 3, 4]) frames.error(ref, 100, "x".repeat(3000));
    expect(() => frames.flush()).toThrow("not this one");
    expect(written).toBe(4);
    expect(frames.waiting).toBe(0);
  });

  test(`${lane}: a message that is too large for a frame lets what waited go before it, and has one to itself`, () => {
    const { frames, handed, send } = open(lane);
    send("first");
    send("x".repeat(5000));
    send("last");
    frames.flush();
    expect(handed.map(({ messages }) => messages.length)).toEqual([1, 1, 1]);
    expect(handed[0]?.messages).toEqual([[18, "a", null, "first"]]);
  });
}
