/** What becomes of packets that no instance of this version sends. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Interest } from "../../../../src/broker/redis/interest.ts";
import { OwnBatches } from "../../../../src/broker/redis/own-batches.ts";
import { Receiver } from "../../../../src/broker/redis/receiver.ts";
import { CollectingFeed } from "../../../contract/broker/kit.ts";

function open() {
  const feed = new CollectingFeed();
  const interest = new Interest();
  interest.add("main", "#");
  const receiver = new Receiver({ feed, instance: "aaaaaaaa", interest, own: new OwnBatches(() => true) });
  return { feed, receiver };
}

/** A packet of one frame from `origin`. */
function packet(kind: number, body: readonly number[], { origin = "bbbbbbbb", call = 1, index = 0 } = {}): Buffer {
  const head = Buffer.from(`\u0001${origin}\0\0\0\0\u0004main`);
  head.writeUInt32BE(call, 9);
  const frame = Buffer.from([kind, 0, 0, 0, 0, 0, index, 0, 1, 0x74, ...body]);
  frame.writeUInt32BE(frame.length - 5, 1);
  return Buffer.concat([head, frame]);
}

const one = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0x68, 0x69];

test("a relayed message is told, unless it is one's own or a copy", () => {
  const { feed, receiver } = open();
  receiver.packet(packet(2, one));
  receiver.packet(packet(2, one));
  receiver.packet(packet(2, one, { call: 2 }));
  receiver.packet(packet(2, one, { call: 2, index: 1 }));
  receiver.packet(packet(2, one, { origin: "aaaaaaaa" }));
  expect(feed.relayedTexts).toEqual([
    ["t", "hi"],
    ["t", "hi"],
    ["t", "hi"],
  ]);
  expect(receiver.counts.repeated).toBe(1);
});

test("copies by one connection count once, whatever comes by another between them", () => {
  const { feed, receiver } = open();
  for (let copy = 0; copy < 2; copy++) {
    receiver.packet(packet(2, one, { call: 1 }), 1);
    receiver.packet(packet(2, one, { call: 2 }), 2);
  }
  expect([feed.relayedTexts.length, receiver.counts.repeated]).toEqual([2, 2]);
});

test("kinds and versions that are not known are counted and passed over", () => {
  const { feed, receiver } = open();
  const known = packet(2, one, { index: 1 });
  const unknown = packet(9, [1, 2, 3]);
  receiver.packet(Buffer.concat([unknown, known.subarray(18)]));
  receiver.packet(Buffer.from([2, ...known.subarray(1)]));
  expect([receiver.counts.unknown, feed.relayedTexts.length]).toEqual([2, 1]);
});

test("no bytes whatever bring it down", () => {
  const { receiver } = open();
  const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 80 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), bytes, fc.nat(40), (kind, body, cut) => {
      const whole = packet(kind, body);
      receiver.packet(whole.subarray(0, Math.max(1, whole.length - cut)));
      receiver.packet(Buffer.from([1, ...body]));
    }),
    { numRuns: 500 },
  );
  expect(receiver.counts.malformed).toBeGreaterThan(0);
});
