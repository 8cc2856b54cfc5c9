/** What the feed loses without a later message to show it: found in time, or told. */
import { describe, expect, test } from "bun:test";
import type { Broker, Comparison } from "../../../src/broker/broker.ts";
import { liveOnly } from "../../../src/core/tag-rule.ts";
import { type LaggingBroker, laggingBroker } from "../../harness/lagging-broker.ts";
import {
  gapsIn,
  messagesIn,
  roomy,
  settle,
  sorted,
  TestHub,
  type TestHubOptions,
  type TestSubscriber,
} from "./support.ts";

const periodMs = 30_000;
const graceMs = 1000;

interface Options extends TestHubOptions {
  readonly around?: (broker: LaggingBroker) => Broker;
}

/** A hub whose feed is held back; answers come at once. */
function lossy({ around = (broker) => broker, ...options }: Options = {}): { hub: TestHub; broker: LaggingBroker } {
  let broker!: LaggingBroker;
  const hub = new TestHub({ ...options, broker: (memory) => around((broker = laggingBroker(memory))) });
  return { hub, broker };
}

function publish(hub: TestHub, publisher: TestSubscriber, tag: string, ...payloads: readonly number[]): void {
  for (const payload of payloads) publisher.publish(tag, payload);
  hub.turns();
}

async function pass(hub: TestHub, ms: number): Promise<void> {
  hub.advance(ms);
  await settle(hub);
}

/** What is lost is found within so much time. */
async function compare(hub: TestHub): Promise<void> {
  await pass(hub, periodMs);
  await pass(hub, graceMs);
}

function withComparison(broker: LaggingBroker, comparison: Partial<Comparison>): Broker {
  return new Proxy(broker, {
    get(target, name) {
      if (name === "comparison") return { ...target.comparison, ...comparison };
      const member = Reflect.get(target, name, target) as unknown;
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

describe("A message that the feed loses, with none behind it", () => {
  test.each(["log/a", "log/+", "#"])("is found when the logs are compared, by a subscriber to %s", async (pattern) => {
    const { hub, broker } = lossy();
    const [subscriber, publisher] = [hub.open(), hub.open()];
    subscriber.subscribe(pattern);
    publish(hub, publisher, "log/a", 1);
    broker.release();
    publish(hub, publisher, "log/a", 2, 3);
    broker.dropAll();
    await pass(hub, periodMs - 1);
    expect(messagesIn(subscriber.take())).toEqual([["log/a", 1, 1]]);
    await pass(hub, 1);
    // It may be on its way.
    expect(messagesIn(subscriber.take())).toEqual([]);
    await pass(hub, graceMs);
    expect(messagesIn(subscriber.take())).toEqual([
      ["log/a", 2, 2],
      ["log/a", 3, 3],
    ]);
    await compare(hub);
    expect(subscriber.take()).toEqual([]);
  });

  test("is found though it was the first one of its log, by a subscriber to a pattern", async () => {
    const { hub, broker } = lossy();
    const [subscriber, publisher] = [hub.open(), hub.open()];
    subscriber.subscribe("log/#");
    hub.turns();
    subscriber.take();
    publish(hub, publisher, "log/a/b", 1);
    publish(hub, publisher, "log/c", 1);
    broker.dropAll();
    await compare(hub);
    expect(sorted(messagesIn(subscriber.take()))).toEqual([
      ["log/a/b", 1, 1],
      ["log/c", 1, 1],
    ]);
  });

  test("is not taken for lost where the feed has only been slow", async () => {
    const { hub, broker } = lossy();
    const subscriber = hub.open();
    subscriber.subscribe("log/a");
    hub.turns();
    publish(hub, subscriber, "log/a", 1);
    await pass(hub, periodMs);
    broker.release();
    let reads = 0;
    const { history } = hub.memory;
    hub.memory.history = (...asked) => (reads++, history.apply(hub.memory, asked));
    await pass(hub, graceMs);
    expect([messagesIn(subscriber.take()), reads]).toEqual([[["log/a", 1, 1]], 0]);
  });

  test("is found at once after an outage", async () => {
    const { hub, broker } = lossy();
    const [exact, wild, publisher] = [hub.open(), hub.open(), hub.open()];
    exact.subscribe("log/a");
    wild.subscribe("log/+");
    hub.turns();
    publish(hub, publisher, "log/a", 1);
    publish(hub, publisher, "log/b", 1);
    broker.dropAll();
    broker.resync({ relayed: false });
    await settle(hub);
    expect(messagesIn(exact.take())).toEqual([["log/a", 1, 1]]);
    const received = wild.take();
    expect(sorted(messagesIn(received))).toEqual([
      ["log/a", 1, 1],
      ["log/b", 1, 1],
    ]);
    expect(gapsIn(received)).toEqual([]);
  });

  test("is found after an outage though the broker goes away once more", async () => {
    const { hub, broker } = lossy();
    const subscriber = hub.open();
    subscriber.subscribe("log/a");
    publish(hub, subscriber, "log/a", 1);
    broker.dropAll();
    broker.away = true;
    broker.resync({ relayed: false });
    await pass(hub, 1000);
    broker.away = false;
    expect(messagesIn(subscriber.take())).toEqual([]);
    await pass(hub, 1000);
    expect(messagesIn(subscriber.take())).toEqual([["log/a", 1, 1]]);
  });
});

describe("A log whose tag was forgotten to bound memory", () => {
  /** The state of `log/a` is forgotten behind its first message. */
  async function forgotten() {
    const { hub, broker } = lossy({ tagsMax: 4 });
    const [subscriber, publisher] = [hub.open(), hub.open()];
    subscriber.subscribe("#");
    publish(hub, publisher, "log/a", 1);
    broker.release();
    const state = hub.hub.tag("main", "log/a");
    for (let i = 0; i < 20; i++) hub.hub.tag("main", `${i}`);
    expect(state.forgotten).toBe(true);
    hub.turns();
    subscriber.take();
    return { hub, broker, subscriber, publisher };
  }
  const missed = [
    ["log/a", 2, 2],
    ["log/a", 3, 3],
  ];

  test("misses nothing of what the feed loses before its next message", async () => {
    const { hub, broker, subscriber, publisher } = await forgotten();
    publish(hub, publisher, "log/a", 2);
    broker.dropAll();
    publish(hub, publisher, "log/a", 3);
    broker.release();
    hub.turns();
    expect(messagesIn(subscriber.take())).toEqual(missed);
  });

  test("misses nothing of what the feed loses where no message comes behind it", async () => {
    const { hub, broker, subscriber, publisher } = await forgotten();
    publish(hub, publisher, "log/a", 2, 3);
    broker.dropAll();
    await compare(hub);
    expect(messagesIn(subscriber.take())).toEqual(missed);
  });

  test("does not bring a later subscriber what came before it", async () => {
    const { hub, broker, subscriber, publisher } = await forgotten();
    hub.hub.unsubscribe(subscriber, "#");
    publish(hub, publisher, "log/a", 2);
    broker.dropAll();
    subscriber.subscribe("log/#");
    hub.turns();
    subscriber.take();
    publish(hub, publisher, "log/a", 3);
    broker.release();
    await compare(hub);
    expect(messagesIn(subscriber.take())).toEqual([["log/a", 3, 3]]);
  });
});

describe("A pattern with more logs than an answer deals with one by one", () => {
  const logs = 5000;

  function crowded(options: Options = {}) {
    const { hub, broker } = lossy({ logsMax: logs + 1, ...options });
    const [subscriber, publisher] = [hub.open(), hub.open()];
    for (let i = 0; i < logs; i++) publisher.publish(`log/${i}`, 0);
    hub.turns();
    subscriber.subscribe("log/+");
    hub.turns();
    expect(subscriber.take()).toMatchObject([[16, 1, { more: true }]]);
    return { hub, broker, subscriber, publisher };
  }

  test("misses nothing of any that the feed loses", async () => {
    const { hub, broker, subscriber, publisher } = crowded();
    for (const tag of ["log/0", `log/${logs - 1}`, "log/new"]) publish(hub, publisher, tag, 1);
    broker.dropAll();
    await compare(hub);
    expect(sorted(messagesIn(subscriber.take()))).toEqual([
      ["log/0", 2, 1],
      [`log/${logs - 1}`, 2, 1],
      ["log/new", 1, 1],
    ]);
  });

  test("is told after an outage where not all that changed could be listed", async () => {
    const around = (broker: LaggingBroker) => withComparison(broker, { changed: () => ({ logs: [], more: true }) });
    const { hub, broker, subscriber, publisher } = crowded({ around });
    publish(hub, publisher, "log/0", 1);
    broker.dropAll();
    broker.resync({ relayed: false });
    await settle(hub);
    const received = subscriber.take();
    expect(gapsIn(received)).toEqual([["log/+", null, null, { code: 204 }]]);
    expect(messagesIn(received)).toEqual([["log/0", 2, 1]]);
  });
});

describe("A comparison", () => {
  test("asks for logs that somebody subscribes to by name in batches, and for what changed once per application", async () => {
    const asked: number[] = [];
    let changed = 0;
    const around = (broker: LaggingBroker) =>
      withComparison(broker, {
        tops: (app, tags) => (asked.push(tags.length), broker.comparison.tops(app, tags)),
        changed: (...wanted) => (changed++, broker.comparison.changed(...wanted)),
      });
    const { hub } = lossy({ around, logsMax: 2000 });
    for (let i = 0; i < 11; i++) {
      const subscriber = hub.open();
      for (let j = 0; j < 100; j++) subscriber.subscribe(`log/${i * 100 + j}`);
    }
    hub.turns();
    await compare(hub);
    expect([asked, changed]).toEqual([[512, 512, 76], 0]);
    for (const pattern of ["log/#", "log/+"]) hub.open().subscribe(pattern);
    await compare(hub);
    expect([asked.length, changed]).toEqual([6, 1]);
  });

  test("is not made where the feed loses nothing, nor after the hub has stopped", async () => {
    const plain = new TestHub();
    const timers = plain.clock.timers;
    const { hub, broker } = lossy();
    expect(hub.clock.timers).toBe(timers + 1);
    await hub.hub.stop();
    broker.resync({ relayed: false });
    await settle(hub);
    expect(hub.clock.timers).toBe(0);
  });

  test("tells of members anew after an outage", async () => {
    const rules = [{ ...liveOnly, pattern: "room/+", presence: true }, roomy];
    const { hub, broker } = lossy({ rules });
    const [subscriber, other] = [hub.open(), hub.open()];
    subscriber.subscribe("room/1", { presence: true });
    other.subscribe("room/1");
    hub.turns();
    broker.resync({ relayed: false });
    await settle(hub);
    const told = subscriber.take().filter(([code]) => code === 19);
    expect(told).toEqual([
      [
        19,
        "room/1",
        2,
        [
          ["c", 1, null],
          ["c", 2, null],
        ],
        null,
        2,
      ],
    ]);
    expect(other.take().map(([code]) => code)).toEqual([16]);
  });
});
