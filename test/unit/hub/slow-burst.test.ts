/** A socket that turns slow while more is deferred than it may ever hold. */
import { expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { softMarkBytes } from "../../../src/hub/sink.ts";
import { turnBytesMax } from "../../../src/hub/distributor.ts";
import { identityOf, Sessions } from "../../harness/sessions.ts";

const payloadBytes = 100_000;
/** Below what makes the hub stop reading from the publisher, in either lane. */
const messages = 110;

// A reader a little slower than a burst of 30 MB was cut off (1006) within 100 ms: it could not leave its native topic
// before all that was deferred of it had been pushed into its socket, past the hard mark.
test.each(["msgpack", "json"] as const)("a slow %s socket takes what was deferred at its own pace", (lane) => {
  const sessions = new Sessions();
  const identity = identityOf();
  const reader = sessions.open({ lane, identity });
  const publisher = sessions.open({ identity });
  reader.send([2, 1, "a/+"]);
  reader.connection.stopReading();
  const payload = new Uint8Array(payloadBytes);
  for (let i = 0; i < messages; i++) publisher.connection.send(encode([4, 0, "a/b", [i, payload]]));
  sessions.turn();
  expect(reader.connection.isOpen).toBe(true);
  expect(reader.connection.bufferedBytes()).toBeLessThan(softMarkBytes + 3 * turnBytesMax);
  const got: unknown[] = [];
  for (let turns = 0; got.length < messages && turns < messages; turns++) {
    reader.connection.read(10);
    got.push(...reader.take());
  }
  expect(got.map((message) => (message as [number, string, null, [number]])[3][0])).toEqual([
    ...Array(messages).keys(),
  ]);
});

test("what comes after the burst comes behind it, or is told as lost", () => {
  const sessions = new Sessions();
  const identity = identityOf();
  const reader = sessions.open({ identity });
  const publisher = sessions.open({ identity });
  reader.send([2, 1, "a/b"]);
  reader.connection.stopReading();
  const payload = new Uint8Array(payloadBytes);
  for (let i = 0; i < messages; i++) publisher.connection.send(encode([4, 0, "a/b", [i, payload]]));
  sessions.turn();
  for (let i = 0; i < 5; i++) publisher.send([4, 0, "a/b", [messages + i]]);
  const got: (readonly unknown[])[] = [];
  for (let turns = 0; got.length <= messages && turns < messages; turns++) {
    reader.connection.read(10);
    got.push(...reader.take());
  }
  expect(got.length).toBe(messages + 1);
  expect(got.at(-1)).toEqual([20, "a/b", null, null, { code: 200, count: 5 }]);
  reader.connection.read();
  sessions.advance(1000);
  publisher.send([4, 0, "a/b", "live again"]);
  expect(reader.take()).toEqual([[18, "a/b", null, "live again"]]);
});
