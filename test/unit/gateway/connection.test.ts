import { describe, expect, test } from "bun:test";
import type { ServerWebSocket } from "bun";
import { BunConnection } from "../../../src/gateway/connection.ts";
import type { SocketData } from "../../../src/gateway/websocket.ts";
import { FakeClock } from "../../harness/clock.ts";

const KiB = 1024;

/** A connection on a socket that only writes down what is asked of it. */
function open(bufferedBytes = 0) {
  const calls: string[] = [];
  const socket = {
    bufferedBytes,
    getBufferedAmount: () => socket.bufferedBytes,
    pause: () => void calls.push("pause"),
    resume: () => void calls.push("resume"),
    close: (code: number, reason: string) => void calls.push(`close ${code} ${reason}`),
    terminate: () => void calls.push("terminate"),
  };
  const clock = new FakeClock();
  const entry = { lane: "msgpack", identity: null, tags: null, remoteAddress: "192.0.2.1", origin: null } as const;
  const connection = new BunConnection(socket as unknown as ServerWebSocket<SocketData>, entry, {
    server: { publish() {} },
    clock,
    traffic: { bytesIn: 0, bytesOut: 0 } as never,
    compression: false,
  });
  return { connection, socket, calls, clock };
}

describe("pause() and resume()", () => {
  test("read again only once every reason to pause is gone", () => {
    const { connection, calls } = open();
    connection.pause();
    connection.pause();
    connection.resume();
    expect(calls).toEqual(["pause"]);
    connection.resume();
    connection.resume();
    expect(calls).toEqual(["pause", "resume"]);
  });

  test("are over when it is closed, so that the peer's close frame is seen", () => {
    const { connection, calls } = open();
    connection.pause();
    connection.close(3000, "bye");
    connection.resume();
    expect(calls).toEqual(["pause", "resume", "close 3000 bye"]);
  });
});

describe("close()", () => {
  test("closes at once with little in the way", () => {
    const { connection, calls, clock } = open(64 * KiB);
    connection.close(3000, "bye");
    expect([calls, clock.timers]).toEqual([["close 3000 bye"], 0]);
  });

  test("closes once what is in the way was read", () => {
    const { connection, socket, calls, clock } = open(200 * KiB);
    connection.close(3000, "bye");
    socket.bufferedBytes = 100 * KiB;
    connection.drained();
    expect(calls).toEqual([]);
    socket.bufferedBytes = 0;
    connection.drained();
    connection.closed();
    clock.advance(60_000);
    expect([calls, clock.timers]).toEqual([["close 3000 bye"], 0]);
  });

  test("cuts off who does not read within 5 seconds", () => {
    const { connection, calls, clock } = open(200 * KiB);
    connection.close(3000, "bye");
    clock.advance(4999);
    expect(calls).toEqual([]);
    clock.advance(1);
    expect(calls).toEqual(["terminate"]);
  });

  test("is not what happens when a socket drains that nobody closed", () => {
    const { connection, calls } = open();
    connection.drained();
    connection.closed();
    expect(calls).toEqual([]);
  });
});
