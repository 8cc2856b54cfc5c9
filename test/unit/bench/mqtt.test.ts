import { expect, test } from "bun:test";
import fc from "fast-check";
import { mqttTcp, mqttWebSocket } from "../../../bench/load/protocols/mqtt.ts";
import { record } from "./recording.ts";

const bytes = (...values: number[]) => Buffer.from(values).toString("latin1");

/** A delivery of QoS 0. */
function delivery(topic: string, payload: string): string {
  const length = 2 + topic.length + payload.length;
  const digits = length < 128 ? [length] : [(length % 128) | 0x80, Math.floor(length / 128)];
  return bytes(0x30, ...digits, topic.length >> 8, topic.length & 0xff) + topic + payload;
}

const long = "x".repeat(300);
const stream = [
  bytes(0x20, 2, 0, 0),
  bytes(0x90, 3, 0, 1, 0),
  delivery("a/b", "hello"),
  delivery("a/b", ""),
  bytes(0x40, 2, 0, 7),
  delivery("t".repeat(260), long),
  delivery("c", "end"),
].join("");
const told = ["ready", "subscribed", "message hello", "message ", "acknowledged 1", `message ${long}`, "message end"];

test("an MQTT client opens a clean session of version 3.1.1 without keep-alive", () => {
  expect(record(mqttWebSocket).written).toEqual([`\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0`]);
  expect({ ...mqttWebSocket, create: 0 }).toMatchObject({ transport: "websocket", subprotocol: "mqtt" });
  expect(mqttTcp.transport).toBe("tcp");
});

test("an MQTT client subscribes with QoS 0", () => {
  const { protocol, written } = record(mqttTcp);
  protocol.subscribe("a/+");
  protocol.subscribe("a".repeat(130));
  expect(written.slice(1)).toEqual([`\x82\x08\0\x01\0\x03a/+\0`, `\x82\x87\x01\0\x02\0\x82${"a".repeat(130)}\0`]);
});

test("an MQTT publish carries its tag and payload, and a packet id where it is to be acknowledged", () => {
  const { protocol, written } = record(mqttTcp);
  const publish = (tag: string, payload: string, acknowledge: boolean) =>
    protocol.publish(tag, Buffer.from(payload), acknowledge);
  publish("a/b", "one", false);
  publish("a/b", "two", false);
  publish("c", "longer", false);
  publish("a/b", "again", true);
  publish("a/b", "later", true);
  publish("a/b", long, false);
  expect(written.slice(1)).toEqual([
    `\x30\x08\0\x03a/bone`,
    `\x30\x08\0\x03a/btwo`,
    `\x30\x09\0\x01clonger`,
    `\x32\x0c\0\x03a/b\0\x01again`,
    `\x32\x0c\0\x03a/b\0\x02later`,
    `\x30\xb1\x02\0\x03a/b${long}`,
  ]);
});

test("packet ids begin again at 1", () => {
  const { protocol, written } = record(mqttTcp);
  for (let i = 0; i < 0x1_0001; i++) protocol.publish("a", Buffer.from("!"), true);
  const ids = written.slice(-3).map((packet) => packet.charCodeAt(5) * 256 + packet.charCodeAt(6));
  expect(ids).toEqual([0xffff, 1, 2]);
});

test("an MQTT stream is read in one piece, byte by byte, and wherever it is cut", () => {
  for (const sizes of [[stream.length], [1], [2], [7]]) {
    const { events, receive } = record(mqttTcp);
    receive(stream, sizes);
    expect(events).toEqual(told);
  }
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }), (sizes) => {
      const { events, receive } = record(mqttTcp);
      receive(stream, sizes);
      expect(events).toEqual(told);
    }),
  );
});

test("an MQTT client tells a refused connection, a refused subscription, and what it did not ask for", () => {
  const { events, receive } = record(mqttTcp);
  receive(bytes(0x20, 2, 0, 5));
  receive(bytes(0x90, 3, 0, 1, 0x80));
  receive(bytes(0x32, 6, 0, 1, 0x61, 0, 1, 0x21));
  receive(bytes(0x30, 2, 0, 9));
  receive(bytes(0xc0, 0));
  receive(bytes(0x30, 0xff, 0xff, 0xff, 0xff, 0x01));
  receive(delivery("a", "after what cannot be read"));
  expect(events).toEqual([
    "failed: The connection was refused with 5",
    "failed: A subscription was refused",
    "failed: A delivery that is not QoS 0",
    "failed: A topic is longer than its packet",
    "failed: A packet that no client expects: 192",
    "failed: A length of more than four bytes",
  ]);
});
