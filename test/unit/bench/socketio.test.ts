import { expect, test } from "bun:test";
import { socketIo } from "../../../bench/load/protocols/socketio.ts";
import { record } from "./recording.ts";

const opened = `0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`;

function connected() {
  const recording = record(socketIo);
  recording.receive(opened);
  recording.receive(`40{"sid":"wZX3oN0bSVIhsaknAAAI"}`);
  return recording;
}

test("a Socket.IO client connects to the namespace once the transport is open", () => {
  const { written, events, receive } = record(socketIo);
  expect(written).toEqual([]);
  receive(opened);
  expect(written).toEqual(["text 40"]);
  expect(events).toEqual([]);
  receive(`40{"sid":"wZX3oN0bSVIhsaknAAAI"}`);
  expect(events).toEqual(["ready"]);
});

test("a Socket.IO client answers pings", () => {
  const { written, receive } = connected();
  receive("2");
  receive("6");
  expect(written).toEqual(["text 40", "text 3"]);
});

test("a Socket.IO publish is an event and its attachment, with an id where it is to be acknowledged", () => {
  const { protocol, written } = connected();
  protocol.subscribe(`a/"b"`);
  protocol.publish("a", Buffer.from("one"), false);
  protocol.publish("a", Buffer.from("two"), true);
  protocol.publish("b", Buffer.from("three"), false);
  protocol.publish("a", Buffer.from("four"), false);
  const placeholder = `{"_placeholder":true,"num":0}`;
  expect(written.slice(1)).toEqual([
    String.raw`text 420["subscribe","a/\"b\""]`,
    `text 451-["publish","a",${placeholder}]`,
    "one",
    `text 451-1["publish","a",${placeholder}]`,
    "two",
    `text 451-["publish","b",${placeholder}]`,
    "three",
    `text 451-["publish","a",${placeholder}]`,
    "four",
  ]);
});

test("a Socket.IO client takes the message after an event as its payload, whatever it looks like", () => {
  const { events, receive } = connected();
  const event = `451-["message",{"_placeholder":true,"num":0}]`;
  for (const message of [event, "2", event, event, "430[]", event, "6", "431[]", event, "end"]) receive(message);
  expect(events).toEqual([
    "ready",
    "message 2",
    `message ${event}`,
    "subscribed",
    "message 6",
    "acknowledged 1",
    "message end",
  ]);
});

test("a Socket.IO client tells a refused connection, and what it does not know", () => {
  const { events, receive } = connected();
  receive(`44{"message":"Not authorized"}`);
  receive("41");
  receive("1");
  expect(events.slice(1)).toEqual([
    `failed: A packet that is not expected: 4{"message":"Not authorized"}`,
    "failed: A packet that is not expected: 1",
    "failed: A packet that is not expected: 1",
  ]);
});
