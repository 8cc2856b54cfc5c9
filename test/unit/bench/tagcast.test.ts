/** tagcast's own protocol, as the driver of the bench speaks it. */
import { describe, expect, test } from "bun:test";
import { decodeMulti, encode } from "@msgpack/msgpack";
import { tagcastJson } from "../../../bench/load/protocols/tagcast-json.ts";
import { tagcast } from "../../../bench/load/protocols/tagcast.ts";
import { record } from "./recording.ts";

type Message = readonly unknown[];

const forms = [
  {
    form: "MessagePack",
    kind: tagcast,
    frame: (messages: readonly Message[]) =>
      Buffer.concat(messages.map((message) => encode(message))).toString("latin1"),
    read: (written: string) => [...decodeMulti(Buffer.from(written, "latin1"))],
    payload: (text: string): unknown => Buffer.from(text),
  },
  {
    form: "JSON",
    kind: tagcastJson,
    frame: (messages: readonly Message[]) => messages.map((message) => JSON.stringify(message)).join("\n"),
    read: (written: string) => [JSON.parse(written.slice("text ".length)) as unknown],
    payload: (text: string): unknown => text,
  },
];

test("MessagePack puts several publishes into a frame", () => {
  const { protocol, written } = record(tagcast);
  const publish = (n: number, more: boolean) => protocol.publish(`live/${n}`, Buffer.from(text(n)), n === 2, more);
  publish(1, true);
  publish(2, true);
  expect(written).toEqual([]);
  publish(3, false);
  publish(4, false);
  const tags = written.map((frame) =>
    [...decodeMulti(Buffer.from(frame, "latin1"))].map((message) => (message as Message)[2]),
  );
  expect(tags).toEqual([["live/1", "live/2", "live/3"], ["live/4"]]);
});

/** Too long for the shortest form of its length. */
const longTag = `live/${"x".repeat(60)}`;
const text = (sequence: number, length = 64) => `${sequence}|`.padEnd(length, "o");

describe.each(forms)("$form", ({ kind, frame, read, payload }) => {
  test("finds every message in a frame, of any length, between answers and through wildcards", () => {
    const { events, receive } = record(kind);
    const messages: Message[] = [
      [18, "live/a", null, payload(text(1))],
      [16, 70_000, {}],
      [18, longTag, null, payload(text(2, 300))],
      [18, "live/a", null, payload(text(3, 70_000)), { id: "x" }],
      [18, "live/a", null, payload(text(4)), null, "live/+"],
      [20, "live/a", null, null, { code: 200, count: 7 }],
      [18, "log/a", 300, payload(text(5)), null, "log/+", 4_000_000_000],
      [18, "live/a", null, payload(text(6))],
    ];
    receive(frame(messages));
    expect(events).toEqual([
      "ready",
      `message ${text(1)}`,
      "acknowledged 1",
      `message ${text(2, 300)}`,
      `message ${text(3, 70_000)}`,
      `message ${text(4)}`,
      "told 7",
      `message ${text(5)}`,
      `message ${text(6)}`,
    ]);
  });

  test("takes texts for payloads, which is what JSON publishes", () => {
    const { events, receive } = record(kind);
    receive(
      frame([
        [18, "live/a", null, text(1)],
        [18, "live/a", null, text(2, 1000)],
      ]),
    );
    expect(events).toEqual(["ready", `message ${text(1)}`, `message ${text(2, 1000)}`]);
  });

  test("publishes without a ref, or with one that its answer is counted by", () => {
    const { protocol, written, events, receive } = record(kind);
    protocol.publish("live/a", Buffer.from(text(1)), false);
    protocol.publish(longTag, Buffer.from(text(2, 300)), true);
    protocol.publish("live/a", Buffer.from(text(3, 70_000)), true);
    const [first, second, third] = written.flatMap(read) as unknown[][];
    const [, , , said] = first!;
    expect(first).toEqual([4, 0, "live/a", said]);
    expect(Buffer.from(said as Uint8Array).toString()).toBe(text(1));
    expect(second!.slice(0, 3)).toEqual([4, 65_536, longTag]);
    expect(third!.slice(0, 3)).toEqual([4, 65_537, "live/a"]);
    receive(
      frame([
        [16, 65_536, {}],
        [16, 65_537, { position: [9, 1] }],
      ]),
    );
    expect(events).toEqual(["ready", "acknowledged 1", "acknowledged 1"]);
  });

  test("says what was refused", () => {
    const { events, receive } = record(kind);
    receive(
      frame([
        [17, 0, 103, "Not granted"],
        [22, 3001, "Too slow", 500],
      ]),
    );
    expect(events).toEqual([
      "ready",
      "failed: Refused with 103: Not granted",
      "failed: Disconnected with 3001: Too slow",
    ]);
  });

  test.each([
    ["one tag", ["log/a"]],
    ["several tags", ["log/a", "log/b"]],
  ])("comes back from its positions, with %s, and ignores what it has", (_, tags) => {
    const first = record(kind);
    for (const tag of tags) first.protocol.subscribe(tag);
    first.receive(frame(tags.map((_, i) => [16, i + 1, { position: [9, 4] }])));
    expect(tags.map((tag) => first.protocol.position?.(tag))).toEqual(tags.map(() => [9, 4]));
    first.receive(
      frame([
        [18, "log/a", 5, payload(text(5))],
        [18, "log/a", 5, payload(text(5))],
        [18, "log/a", 300, payload(text(6))],
      ]),
    );
    expect(first.events.filter((event) => event.startsWith("message"))).toEqual([
      `message ${text(5)}`,
      `message ${text(6)}`,
    ]);
    expect(first.protocol.position?.("log/a")).toEqual([9, 300]);
    const { protocol, written, events, receive } = record(kind);
    protocol.subscribe("log/a", { since: [9, 300] });
    expect(written.flatMap(read)).toEqual([[2, 1, "log/a", { since: [9, 300] }]]);
    receive(
      frame([
        [16, 1, { position: [9, 302], recovered: true }],
        [18, "log/a", 301, payload(text(7))],
      ]),
    );
    expect(events).toEqual(["ready", "subscribed", `message ${text(7)}`]);
    expect(protocol.position?.("log/a")).toEqual([9, 301]);
  });

  test("counts the messages of a gap, and goes on from behind it", () => {
    const { protocol, events, receive } = record(kind);
    protocol.subscribe("log/a", { since: [9, 4] });
    receive(
      frame([
        [16, 1, { position: [8, 20], start: 10, recovered: false }],
        [20, "log/a", 5, 10, { code: 202, epoch: 8 }],
        [18, "log/a", 11, payload(text(1))],
      ]),
    );
    expect(events).toEqual(["ready", "subscribed", "told 6", `message ${text(1)}`]);
    expect(protocol.position?.("log/a")).toEqual([8, 11]);
  });
});
