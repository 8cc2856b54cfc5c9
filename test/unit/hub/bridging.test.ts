/** Live-only messages between instances, and what subscribers are told while the broker is away. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { errors } from "../../../src/core/codes.ts";
import { liveOnly } from "../../../src/core/tag-rule.ts";
import type { SubscribeRequest } from "../../../src/hub/subscriber.ts";
import { encodeMeta } from "../../../src/wire/meta.ts";
import { type LaggingBroker, laggingBroker } from "../../harness/lagging-broker.ts";
import { app, gapsIn, messagesIn, roomy, settle, sorted, TestHub } from "./support.ts";

const rules = [
  { ...liveOnly, pattern: "here/#", local: true },
  { ...liveOnly, pattern: "room/+", presence: true },
  roomy,
];

function bridged(): { hub: TestHub; broker: LaggingBroker } {
  let broker!: LaggingBroker;
  const hub = new TestHub({ rules, broker: (memory) => (broker = laggingBroker(memory)) });
  return { hub, broker };
}

/** What was asked of the broker, by pattern. */
function interestsOf(hub: TestHub): string[] {
  const asked: string[] = [];
  const subscribe = hub.memory.subscribe.bind(hub.memory);
  hub.memory.subscribe = (name, pattern) => (asked.push(pattern), subscribe(name, pattern));
  return asked;
}

function body(payload: unknown, meta: Uint8Array | null = null) {
  const bytes = encode(payload);
  return { bytes: Buffer.concat([bytes, meta ?? new Uint8Array(0)]), payloadLength: bytes.length };
}

describe("A live-only message", () => {
  test("is handed to the broker once, behind its delivery here, unless it stays on this instance or has a log", () => {
    const { hub, broker } = bridged();
    const subscriber = hub.open();
    for (const pattern of ["#", "a"]) subscriber.subscribe(pattern);
    for (const tag of ["a", "here/a", "log/a"]) subscriber.publish(tag, tag);
    hub.turns();
    expect(broker.relayed.map(([tag, { bytes, payloadLength }]) => [tag, payloadLength, [...bytes]])).toEqual([
      ["a", 2, [...encode("a")]],
    ]);
  });

  test("is handed over with its meta, in bytes of its own", () => {
    const { hub, broker } = bridged();
    const publisher = hub.open();
    const frame = Buffer.concat([Buffer.from([1, 2]), encode("a")]);
    const meta = encodeMeta({ id: null, reply: "r" });
    const what = { frame, payloadStart: 2, payloadEnd: frame.length, id: null, except: null };
    hub.hub.publish(hub.hub.tag(app, "a"), { ...what, meta: null }, publisher, 1);
    hub.hub.publish(hub.hub.tag(app, "a"), { ...what, meta }, publisher, 2);
    frame.fill(0);
    expect(
      broker.relayed.map(([, relayed]) => relayed).map(({ bytes, payloadLength }) => [[...bytes], payloadLength]),
    ).toEqual([
      [[...encode("a")], 2],
      [[...encode("a"), ...meta], 2],
    ]);
  });

  test("of another instance reaches everybody here, and is not handed on", () => {
    const { hub, broker } = bridged();
    const [exact, wild] = [hub.open(), hub.open("json")];
    exact.subscribe("a");
    wild.subscribe("+");
    hub.turns();
    [exact, wild].map((subscriber) => subscriber.take());
    const meta = encodeMeta({ id: "i", reply: null });
    const first = body("one", meta);
    broker.tellRelayed({ app, tag: "a", body: first });
    first.bytes.fill(0);
    broker.tellRelayed({ app, tag: "a", body: body("two") });
    hub.turns();
    expect(exact.take()).toEqual([
      [18, "a", null, "one", { id: "i" }],
      [18, "a", null, "two"],
    ]);
    expect(wild.take()).toEqual([
      [18, "a", null, "one", { id: "i" }, "+"],
      [18, "a", null, "two", null, "+"],
    ]);
    expect(broker.relayed).toEqual([]);
  });

  test("of another instance that did not get here is told, once a turn, before anything newer", () => {
    const { hub, broker } = bridged();
    const [exact, wild] = [hub.open(), hub.open("json")];
    for (const pattern of ["a", "b", "log/a", "here/a"]) exact.subscribe(pattern);
    wild.subscribe("#");
    hub.turns();
    [exact, wild].map((subscriber) => subscriber.take());
    for (const tag of ["a", "log/a", "here/a", "b/c"]) broker.tellRelayed({ app, tag, body: null });
    broker.tellRelayed({ app: "unknown", tag: "a", body: null });
    broker.tellRelayed({ app, tag: "a", body: body("newer") });
    hub.turns();
    expect(exact.take()).toEqual([
      [20, "a", null, null, { code: 204 }],
      [18, "a", null, "newer"],
    ]);
    expect(wild.take()).toEqual([
      [20, "#", null, null, { code: 204 }],
      [18, "a", null, "newer", null, "#"],
    ]);
    broker.tellRelayed({ app, tag: "a", body: null });
    hub.turns();
    expect(gapsIn([...exact.take(), ...wild.take()])).toHaveLength(2);
  });

  test("of another instance is ignored where this one keeps the tag to itself, has a log of it, or nobody listens", () => {
    const { hub, broker } = bridged();
    const subscriber = hub.open();
    for (const pattern of ["here/a", "log/a"]) subscriber.subscribe(pattern);
    hub.turns();
    subscriber.take();
    for (const tag of ["here/a", "log/a", "nobody"]) broker.tellRelayed({ app, tag, body: body(1) });
    broker.tellRelayed({ app: "unknown", tag: "here/a", body: body(1) });
    hub.turns();
    expect(subscriber.take()).toEqual([]);
  });
});

describe("After an outage", () => {
  test("subscribers of what other instances publish are told once that messages may be missing", async () => {
    const { hub, broker } = bridged();
    const [subscriber, text] = [hub.open(), hub.open("json")];
    for (const pattern of ["a", "+", "log/#", "log/a", "here/a", "here/#"]) subscriber.subscribe(pattern);
    text.subscribe("a");
    hub.turns();
    [subscriber, text].map((one) => one.take());
    broker.resync({ relayed: true });
    await settle(hub);
    expect(sorted(gapsIn(subscriber.take()))).toEqual([
      ["+", null, null, { code: 204 }],
      ["a", null, null, { code: 204 }],
    ]);
    expect(text.take()).toEqual([[20, "a", null, null, { code: 204 }]]);
    broker.resync({ relayed: false });
    await settle(hub);
    expect(subscriber.take()).toEqual([]);
  });
});

describe("While the broker is away", () => {
  async function away() {
    const { hub, broker } = bridged();
    const subscriber = hub.open();
    broker.away = true;
    return { hub, broker, subscriber };
  }

  test("what is only ever live is subscribed to, and the answer says that other instances are cut off", async () => {
    const { hub, broker, subscriber } = await away();
    for (const pattern of ["a", "a/#", "here/a"]) subscriber.subscribe(pattern);
    await settle(hub);
    // What never leaves this instance needs nobody else.
    expect(sorted(subscriber.take())).toEqual([
      [16, 1, { bridged: false }],
      [16, 2, { bridged: false }],
      [16, 3, {}],
    ]);
    subscriber.publish("a", 1);
    hub.turns();
    expect(messagesIn(subscriber.take())).toEqual([
      ["a", null, 1],
      ["a", null, 1],
    ]);
    const asked = interestsOf(hub);
    broker.away = false;
    broker.resync({ relayed: true });
    await settle(hub);
    expect(asked.sort()).toEqual(["a", "a/#"]);
    expect(sorted(gapsIn(subscriber.take()))).toEqual([
      ["a", null, null, { code: 204 }],
      ["a/#", null, null, { code: 204 }],
    ]);
    broker.resync({ relayed: false });
    await settle(hub);
    expect(asked.length).toBe(2);
  });

  test.each<[string, Partial<SubscribeRequest>]>([
    ["log/a", {}],
    ["#", {}],
    ["log/+", {}],
    ["room/1", {}],
    ["room/1", { presence: true }],
  ])("%s, of which something is kept, is refused for now: %p", async (pattern, options) => {
    const { hub, broker, subscriber } = await away();
    subscriber.subscribe(pattern, { presence: options.presence ?? false });
    await settle(hub);
    expect(subscriber.take()).toEqual([[17, 1, errors.unavailable.code, errors.unavailable.text]]);
    expect(hub.hub.subscriptions.count).toBe(0);
    const asked = interestsOf(hub);
    broker.away = false;
    broker.resync({ relayed: true });
    await settle(hub);
    expect([asked, subscriber.take()]).toEqual([[], []]);
    subscriber.subscribe(pattern);
    await settle(hub);
    expect(subscriber.take().map(([code, ref]) => [code, ref])).toEqual([[16, 2]]);
  });

  test("interest is asked for again by whoever comes next, and dropped with the last who wants it", async () => {
    const { hub, broker, subscriber } = await away();
    for (const pattern of ["a", "b"]) subscriber.subscribe(pattern);
    await settle(hub);
    subscriber.take();
    hub.hub.unsubscribe(subscriber, "b");
    broker.away = false;
    const asked = interestsOf(hub);
    const next = hub.open();
    next.subscribe("a");
    hub.turns();
    expect(next.take()).toEqual([[16, 1, {}]]);
    expect(subscriber.take()).toEqual([[20, "a", null, null, { code: 204 }]]);
    broker.resync({ relayed: false });
    await settle(hub);
    expect([asked, next.take(), subscriber.take()]).toEqual([["a"], [], []]);
  });

  test("interest that is refused for another reason is asked for again in time", async () => {
    const { hub, broker, subscriber } = await away();
    subscriber.subscribe("a");
    await settle(hub);
    broker.away = false;
    const asked = interestsOf(hub);
    hub.advance(30_000);
    await settle(hub);
    expect(asked).toEqual(["a"]);
  });

  test("publishes to a log are refused with a code that says to try again", async () => {
    const { hub, subscriber } = await away();
    const codes: number[] = [];
    subscriber.refused = (_, { code }) => void codes.push(code);
    subscriber.publish("log/a", 1);
    await settle(hub);
    expect(codes).toEqual([errors.unavailable.code]);
  });
});
