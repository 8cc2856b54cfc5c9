import { expect, test } from "bun:test";
import { OwnMessages } from "../../../src/hub/own-messages.ts";
import { TestHub } from "./support.ts";

const owner = new TestHub().open().native;

test("own messages are asked for once, by epoch and offset", () => {
  const own = new OwnMessages();
  own.note(1, 5, owner);
  expect([own.take(2, 5), own.take(1, 4), own.take(1, 5), own.take(1, 5)]).toEqual([null, null, owner, null]);
});

test("own messages are forgotten when the log was read beyond them, or has another epoch", () => {
  const own = new OwnMessages();
  for (const [epoch, offset] of [
    [1, 5],
    [1, 6],
    [2, 7],
  ] as const) {
    own.note(epoch, offset, owner);
  }
  expect(own.keepAfter(1, 5)).toBe(true);
  expect([own.take(1, 5), own.take(2, 7), own.take(1, 6)]).toEqual([null, null, owner]);
  expect(own.keepAfter(1, 6)).toBe(false);
});

test("own messages are remembered up to a bound", () => {
  const own = new OwnMessages();
  for (let offset = 1; offset <= 5000; offset++) own.note(1, offset, owner);
  expect([own.take(1, 4096), own.take(1, 4097)]).toEqual([owner, null]);
});
