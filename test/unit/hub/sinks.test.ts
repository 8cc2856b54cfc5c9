/** The way of a subscription between its native topic and JavaScript, and what a slow reader is told. */
import { describe, expect, test } from "bun:test";
import type { Answer, Broker, Feed, Page } from "../../../src/broker/broker.ts";
import { turnBytesMax } from "../../../src/hub/distributor.ts";
import { softMarkBytes } from "../../../src/hub/sink.ts";
import { type LaggingBroker, laggingBroker } from "../../harness/lagging-broker.ts";
import {
  keeps,
  messagesIn,
  roomy,
  settle,
  sorted,
  TestHub,
  type TestHubOptions,
  type TestSubscriber,
} from "./support.ts";

const large = new Uint8Array(100 * 1024);
/** So many messages of this size are just over the soft mark. */
const many = Math.ceil(softMarkBytes / large.length);
const slowRules = [
  keeps("log/stream", { size: 1000 }, { delivery: "stream" }),
  keeps("log/latest", { size: 1000 }, { delivery: "latest" }),
  roomy,
];

function slowReader(pattern: string, options: TestHubOptions = {}) {
  const hub = new TestHub({ rules: slowRules, ...options });
  const [reader, publisher] = [hub.open(), hub.open()];
  reader.subscribe(pattern);
  hub.turns();
  reader.take();
  return { hub, reader, publisher };
}

/** Publishes until the socket of a reader that does not read is over the soft mark, and has been looked at. */
function makeSlow(hub: TestHub, reader: TestSubscriber, publisher: TestSubscriber, tag: string): void {
  reader.native.stopReading();
  while (reader.native.bufferedBytes() <= softMarkBytes) {
    publisher.publish(tag, large);
    hub.turns();
  }
  hub.advance(250);
  expect(hub.hub.sinks.size).toBeGreaterThan(0);
}

function publish(hub: TestHub, publisher: TestSubscriber, tag: string, payloads: readonly unknown[]): void {
  for (const payload of payloads) publisher.publish(tag, payload);
  hub.turns();
}

function readOn(hub: TestHub, reader: TestSubscriber): (readonly unknown[])[] {
  reader.native.read();
  hub.turns();
  return reader.take().slice(many);
}

describe("A reader that is slow", () => {
  test("of a reliable log goes on from the log, and loses nothing", () => {
    const { hub, reader, publisher } = slowReader("log/a");
    makeSlow(hub, reader, publisher, "log/a");
    publish(hub, publisher, "log/a", ["one", "two"]);
    expect(readOn(hub, reader)).toEqual([
      [18, "log/a", many + 1, "one"],
      [18, "log/a", many + 2, "two"],
    ]);
    expect(hub.hub.sinks.size).toBe(0);
  });

  test("of a stream is told once how many it missed", () => {
    const { hub, reader, publisher } = slowReader("log/stream");
    makeSlow(hub, reader, publisher, "log/stream");
    publish(hub, publisher, "log/stream", ["one", "two"]);
    publish(hub, publisher, "log/stream", ["three"]);
    expect(readOn(hub, reader)).toEqual([[20, "log/stream", many + 1, many + 3, { code: 200, count: 3 }]]);
    publish(hub, publisher, "log/stream", ["live"]);
    expect(reader.take()).toEqual([[18, "log/stream", many + 4, "live"]]);
  });

  test("of a tag without a log is told once how many it missed, before anything newer", () => {
    const { hub, reader, publisher } = slowReader("live/#");
    makeSlow(hub, reader, publisher, "live/a");
    publish(hub, publisher, "live/a", ["one", "two"]);
    publish(hub, publisher, "live/b", ["three"]);
    reader.native.read();
    publish(hub, publisher, "live/b", ["live"]);
    expect(reader.take().slice(many)).toEqual([
      [20, "live/#", null, null, { code: 200, count: 3 }],
      [18, "live/b", null, "live", null, "live/#"],
    ]);
  });

  test("of a tag where the latest counts gets that alone", () => {
    const { hub, reader, publisher } = slowReader("log/latest");
    makeSlow(hub, reader, publisher, "log/latest");
    publish(hub, publisher, "log/latest", ["one", "two", "three"]);
    expect(readOn(hub, reader)).toEqual([
      [20, "log/latest", many + 1, many + 2, { code: 201, count: 2 }],
      [18, "log/latest", many + 3, "three"],
    ]);
  });

  // Only those who were not slow were told of messages that the feed had lost and the log had forgotten.
  test("of a tag where the latest counts is told of what nobody will get after it", () => {
    let broker!: LaggingBroker;
    let isPrompt = true;
    const { hub, reader, publisher } = slowReader("log/latest", {
      rules: [keeps("log/latest", { size: 1000, ttlMs: 2000 }, { delivery: "latest" })],
      broker: (memory) => (broker = laggingBroker(memory, { onHeld: (release) => isPrompt && release() })),
    });
    makeSlow(hub, reader, publisher, "log/latest");
    publish(hub, publisher, "log/latest", ["waits"]);
    isPrompt = false;
    for (const payload of ["lost", "lost too", "too late"]) publish(hub, publisher, "log/latest", [payload]);
    for (let i = 0; i < 2; i++) broker.drop();
    hub.advance(3000);
    broker.release();
    expect(readOn(hub, reader)).toEqual([
      [18, "log/latest", many + 1, "waits"],
      [20, "log/latest", many + 2, many + 4, { code: 202 }],
    ]);
  });

  // The time since which it was slow was kept from the first time, so the second time it stayed where it was until the
  // hard mark ended it.
  test("and drained, and slow again before anybody looked, leaves its native topic again", () => {
    const { hub, reader, publisher } = slowReader("log/a");
    makeSlow(hub, reader, publisher, "log/a");
    readOn(hub, reader);
    expect(hub.hub.sinks.size).toBe(0);
    hub.advance(100);
    makeSlow(hub, reader, publisher, "log/a");
    expect(hub.hub.sinks.counts.demoted).toBe(2);
    hub.advance(29_000);
    expect(reader.slow).toBe(false);
    hub.advance(2000);
    expect(reader.slow).toBe(true);
  });

  test("for too long is told to go, once it has made no progress", () => {
    const { hub, reader, publisher } = slowReader("log/a");
    makeSlow(hub, reader, publisher, "log/a");
    hub.advance(29_000);
    reader.native.read(many - 5);
    hub.advance(29_000);
    expect(reader.slow).toBe(false);
    expect([reader.native.isOpen, hub.hub.sinks.counts.tooSlow]).toEqual([true, 0]);
  });

  test("does not slow the others down", () => {
    const { hub, reader, publisher } = slowReader("log/a");
    const other = hub.open("json");
    other.subscribe("log/a");
    makeSlow(hub, reader, publisher, "log/a");
    expect(messagesIn(other.take()).length).toBe(many);
  });
});

describe("What is recovered", () => {
  // Pages of all logs of a pattern were asked for at once, and sent as they came: many times what a socket may hold.
  test("through a pattern is sent no faster than the socket takes it, however late the pages come", async () => {
    let broker!: LaggingBroker;
    let isLate = false;
    const hub = new TestHub({
      broker: (memory) => {
        const held = (broker = laggingBroker(memory, { lateAnswers: true }));
        return new Proxy<Broker>(memory, {
          get: (target, name) => {
            const source = isLate && name === "history" ? held : target;
            const member = Reflect.get(source, name, source) as unknown;
            return typeof member === "function" ? member.bind(source) : member;
          },
        });
      },
    });
    const publisher = hub.open();
    const tags = Array.from({ length: 40 }, (_, i) => `log/${i}`);
    for (const tag of tags) publish(hub, publisher, tag, [large]);
    const reader = hub.open();
    reader.native.stopReading();
    reader.subscribe("log/+", { last: 1 });
    isLate = true;
    let reads = 0;
    const readOne = hub.memory.history.bind(hub.memory);
    hub.memory.history = (...asked) => (reads++, readOne(...asked));
    const atOnce: number[] = [];
    for (let i = 0; i < 20; i++) {
      hub.turns();
      atOnce.push(broker.held);
      broker.release();
      await settle(hub);
      // Nor are more pages read than there is room for.
      expect(reads).toBeLessThan(messagesIn(reader.received).length + 20);
      expect(reader.native.bufferedBytes()).toBeLessThan(softMarkBytes / 4 + 6 * large.length);
      if (i > 3) reader.native.read(10);
    }
    expect(messagesIn(reader.take()).length).toBe(tags.length);
    expect([reads, Math.max(...atOnce)]).toEqual([tags.length, 4]);
  });

  // Those that could not be read were asked for first each time, and none of the others ever.
  test("through a pattern does not wait for logs that cannot be read", async () => {
    let broker!: LaggingBroker;
    const hub = new TestHub({ broker: (memory) => (broker = laggingBroker(memory, { lateAnswers: true })) });
    const publisher = hub.open();
    const tags = Array.from({ length: 10 }, (_, i) => `log/${i}`);
    for (const tag of tags) publish(hub, publisher, tag, [tag]);
    const readOne = broker.history.bind(broker);
    broker.history = (...asked) => (/[0-5]$/.test(asked[1]) ? Promise.reject(new Error("away")) : readOne(...asked));
    const reader = hub.open();
    reader.subscribe("log/+", { last: 1 });
    for (let i = 0; i < 10; i++) {
      broker.release();
      await settle(hub);
      hub.advance(250);
    }
    const brought = sorted(messagesIn(reader.take())).map((message) => (message as [string])[0]);
    expect(brought).toEqual(tags.slice(6));
  });
});

describe("A log that begins anew", () => {
  // All frames that a slow reader had left behind were written at once to tell of it, past the hard mark.
  test("is told to a slow reader behind what it has still to get, at its pace", () => {
    const burst = 40;
    const { hub, reader, publisher } = slowReader("log/a", { logsMax: 1 });
    reader.native.stopReading();
    publish(
      hub,
      publisher,
      "log/a",
      Array.from({ length: burst }, () => large),
    );
    publish(hub, publisher, "log/b", ["takes its place"]);
    publish(hub, publisher, "log/a", ["new"]);
    publish(hub, publisher, "log/b", ["takes its place"]);
    publish(hub, publisher, "log/a", ["newer"]);
    const { epoch } = hub.memory.logs("main", "log/a", 1).logs[0]!;
    expect(hub.hub.sinks.counts.demoted).toBe(1);
    let most = 0;
    const got: (readonly unknown[])[] = [];
    for (let i = 0; i < burst; i++) {
      most = Math.max(most, reader.native.bufferedBytes());
      reader.native.read(2);
      hub.turns();
      got.push(...reader.take());
    }
    expect(most).toBeLessThan(softMarkBytes + turnBytesMax + large.length);
    expect(messagesIn(got.slice(0, burst)).length).toBe(burst);
    expect(got.slice(burst)).toEqual([
      [20, "log/a", null, 0, { code: 203, epoch }],
      [18, "log/a", 1, "newer"],
    ]);
  });

  // Redis came back with its data while a client that had just reconnected was being sent what it had missed: the rest was
  // told to be lost, although the log had it.
  test("and goes on from the one before is read on by who lagged behind", () => {
    const { broker, renew } = renewable();
    const { hub, reader, publisher } = slowReader("log/a", { broker });
    makeSlow(hub, reader, publisher, "log/a");
    publish(hub, publisher, "log/a", ["one"]);
    reader.publish("log/a", "its own", { echo: false });
    publish(hub, publisher, "log/a", ["two"]);
    const epoch = renew(hub);
    publish(hub, publisher, "log/a", ["three"]);
    expect(readOn(hub, reader)).toEqual([
      [20, "log/a", null, many, { code: 203, epoch }],
      [18, "log/a", many + 1, "one"],
      [18, "log/a", many + 3, "two"],
      [18, "log/a", many + 4, "three"],
    ]);
    expect(hub.hub.sinks.size).toBe(0);
  });

  test("and goes on from a part of the one before is read on by who lagged behind that part", () => {
    const { broker, renew } = renewable();
    const { hub, reader, publisher } = slowReader("log/a", { broker });
    makeSlow(hub, reader, publisher, "log/a");
    publish(hub, publisher, "log/a", ["one", "two"]);
    const epoch = renew(hub, many + 1);
    publish(hub, publisher, "log/a", ["three"]);
    const [gap, first] = readOn(hub, reader);
    expect(gap).toEqual([20, "log/a", null, many, { code: 203, epoch }]);
    expect(first).toEqual([18, "log/a", many + 1, "one"]);
  });
});

/** A broker whose logs can get another epoch that holds the messages of the one before, up to `offset` by its word. */
function renewable() {
  let shift = 0;
  let upTo = Infinity;
  const broker = (memory: Broker): Broker =>
    new Proxy<Broker>(memory, {
      get(target, name) {
        if (name === "history") {
          return (...asked: Parameters<Broker["history"]>): Answer<Page> => {
            const page = target.history(...asked) as Page;
            if (shift === 0) return page;
            const previous = { epoch: page.epoch, offset: Math.min(upTo, page.top) };
            return { ...page, epoch: page.epoch + shift, previous };
          };
        }
        if (name === "start") {
          return (feed: Feed) =>
            target.start({
              messages: (event) => feed.messages({ ...event, epoch: event.epoch + shift }),
              presence: (event) => feed.presence(event),
              relayed: (event) => feed.relayed(event),
              resynced: (event) => feed.resynced(event),
            });
        }
        const member = Reflect.get(target, name, target) as unknown;
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  const renew = (hub: TestHub, offset = Infinity): number => {
    shift = 1;
    upTo = offset;
    return hub.memory.logs("main", "log/a", 1).logs[0]!.epoch + shift;
  };
  return { broker, renew };
}
