import { expect, test } from "bun:test";
import { frameMaxBytes, Outbox } from "../../../src/client/outbox.ts";

function filled(sizes: readonly number[]): { frames: number[]; outbox: Outbox } {
  const frames: number[] = [];
  const outbox = new Outbox((frame) => void frames.push(frame.length));
  for (const size of sizes) outbox.add(new Uint8Array(size));
  return { frames, outbox };
}

test("what one turn sends leaves in one frame at its end", async () => {
  const { frames } = filled([10, 20, 30]);
  expect(frames).toEqual([]);
  await Promise.resolve();
  expect(frames).toEqual([60]);
});

test("a frame is at most its bound long, and a longer message goes alone, in order", async () => {
  const { frames } = filled([frameMaxBytes - 1, 1, 5, frameMaxBytes + 7, 3]);
  await Promise.resolve();
  expect(frames).toEqual([frameMaxBytes, 5, frameMaxBytes + 7, 3]);
});

test("nothing is sent twice when it is flushed before the turn ends", async () => {
  const { frames, outbox } = filled([4]);
  outbox.flush();
  outbox.add(new Uint8Array(6));
  await Promise.resolve();
  expect(frames).toEqual([4, 6]);
});
