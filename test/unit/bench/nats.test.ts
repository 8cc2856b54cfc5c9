import { expect, test } from "bun:test";
import fc from "fast-check";
import { natsWebSocket } from "../../../bench/load/protocols/nats.ts";
import { record } from "./recording.ts";

const info = `INFO {"server_id":"NX1","max_payload":1048576}\r\n`;

function connected() {
  const recording = record(natsWebSocket);
  recording.receive(`${info}PONG\r\n`);
  recording.written.length = 0;
  recording.events.length = 0;
  return recording;
}

test("a NATS client is ready once the server has answered its first PING", () => {
  const { written, events, receive } = record(natsWebSocket);
  expect(written).toEqual([expect.stringMatching(/^CONNECT \{"verbose":false,.*\}\r\nPING\r\n$/)]);
  receive(info);
  expect(events).toEqual([]);
  receive("PONG\r\n");
  expect(events).toEqual(["ready"]);
});

test("tags are told as subjects, patterns too", () => {
  const { protocol, written } = connected();
  protocol.subscribe("sensor/+/temperature");
  protocol.subscribe("sensor/#");
  protocol.publish("sensor/1/temperature", Buffer.from("21"), false);
  expect(written).toEqual([
    "SUB sensor.*.temperature 1\r\nPING\r\n",
    "SUB sensor.> 2\r\nPING\r\n",
    "PUB sensor.1.temperature 2\r\n21\r\n",
  ]);
});

test("a NATS publish carries its length, and a PING where it is to be acknowledged", () => {
  const { protocol, written } = connected();
  const publish = (tag: string, payload: string, acknowledge: boolean) =>
    protocol.publish(tag, Buffer.from(payload), acknowledge);
  publish("a", "one", false);
  publish("a", "two", false);
  publish("b/c", "longer", true);
  publish("a", "six", true);
  publish("a", "", false);
  expect(written).toEqual([
    "PUB a 3\r\none\r\n",
    "PUB a 3\r\ntwo\r\n",
    "PUB b.c 6\r\nlonger\r\nPING\r\n",
    "PUB a 3\r\nsix\r\nPING\r\n",
    "PUB a 0\r\n\r\n",
  ]);
});

test("each PONG confirms what its PING followed", () => {
  const { protocol, events, receive } = connected();
  const publish = () => protocol.publish("a", Buffer.from("!"), true);
  protocol.subscribe("a");
  publish();
  publish();
  protocol.subscribe("b");
  publish();
  receive("PONG\r\nPONG\r\nPONG\r\nPONG\r\nPONG\r\nPONG\r\n");
  expect(events).toEqual([
    "subscribed",
    "acknowledged 1",
    "acknowledged 1",
    "subscribed",
    "acknowledged 1",
    "failed: A PONG without a PING",
  ]);
});

test("a NATS client answers the server's PING, and tells its errors", () => {
  const { written, events, receive } = connected();
  receive("PING\r\n+OK\r\n-ERR 'Slow Consumer'\r\n");
  expect(written).toEqual(["PONG\r\n"]);
  expect(events).toEqual(["failed: -ERR 'Slow Consumer'"]);
});

test("a NATS stream is read in one piece, byte by byte, and wherever it is cut", () => {
  const tricky = "PING\r\nMSG a 1 2\r\n";
  const stream = [
    info,
    "PONG\r\n",
    "MSG sensor.12 7 5\r\nhello\r\n",
    "MSG a 1 0\r\n\r\n",
    `MSG 9.10 11 reply.12 ${tricky.length}\r\n${tricky}\r\n`,
    `MSG a 1 300\r\n${"x".repeat(300)}\r\n`,
    "MSG a 1 3\r\nend\r\n",
  ].join("");
  const told = ["ready", "message hello", "message ", `message ${tricky}`, `message ${"x".repeat(300)}`, "message end"];
  const eventsOf = (sizes: readonly number[]) => {
    const { events, receive } = record(natsWebSocket);
    receive(stream, sizes);
    return events;
  };
  for (const sizes of [[stream.length], [1], [2], [7]]) expect(eventsOf(sizes)).toEqual(told);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }), (sizes) => {
      expect(eventsOf(sizes)).toEqual(told);
    }),
  );
});
