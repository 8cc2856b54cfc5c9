/** Subscriptions to patterns with wildcards: what their answer says of each log is what is delivered of it. */
import { describe, expect, test } from "bun:test";
import { type LaggingBroker, laggingBroker } from "../../harness/lagging-broker.ts";
import { app, gapsIn, keeps, messagesIn, roomy, settle, TestHub, type TestSubscriber } from "./support.ts";

interface Answer {
  readonly positions?: Readonly<Record<string, readonly [number, number]>>;
  readonly lost?: readonly string[];
  readonly unseen: readonly (readonly [string, number, number])[];
}

function answerOf(received: readonly (readonly unknown[])[]): Answer {
  return received.find(([code]) => code === 16)?.[2] as Answer;
}

/** Between tags no order is promised. */
function byTag(entries: readonly unknown[]): unknown[] {
  return entries.toSorted((a, b) => ((a as [string])[0] < (b as [string])[0] ? -1 : 1));
}

function epochOf(hub: TestHub, tag: string): number {
  return hub.memory.logs(app, tag, 1).logs[0]!.epoch;
}

function publish(hub: TestHub, subscriber: TestSubscriber, ...messages: readonly [string, unknown][]): void {
  for (const [tag, payload] of messages) subscriber.publish(tag, payload);
  hub.turns();
}

describe("A subscription to a pattern", () => {
  test("recovers the logs that it names, and lists the others", () => {
    const hub = new TestHub();
    const publisher = hub.open();
    publish(hub, publisher, ["log/a", 1], ["log/a", 2], ["log/b", 1]);
    const subscriber = hub.open();
    const [a, b] = [epochOf(hub, "log/a"), epochOf(hub, "log/b")];
    subscriber.subscribe("log/+", { since: new Map([["log/a", { epoch: a, offset: 1 }]]) });
    publish(hub, publisher, ["log/c", 1], ["log/b", 2]);
    const received = subscriber.take();
    expect(answerOf(received)).toEqual({ positions: { "log/a": [a, 2] }, unseen: [["log/b", b, 1]] });
    expect(received[0]?.[0]).toBe(16);
    expect(byTag(messagesIn(received))).toEqual([
      ["log/a", 2, 2],
      ["log/b", 2, 2],
      ["log/c", 1, 1],
    ]);
  });

  test("tells which logs could not be recovered whole, each with its gap before anything of it", () => {
    const hub = new TestHub({ rules: [keeps("log/#", { size: 1 })] });
    const publisher = hub.open();
    publish(hub, publisher, ["log/a", 1], ["log/a", 2], ["log/a", 3], ["log/b", 1]);
    const subscriber = hub.open();
    const [a, b] = [epochOf(hub, "log/a"), epochOf(hub, "log/b")];
    const since = new Map([
      ["log/a", { epoch: a, offset: 1 }],
      ["log/b", { epoch: b + 1, offset: 1 }],
    ]);
    subscriber.subscribe("log/+", { since });
    hub.turns();
    const received = subscriber.take();
    expect([...answerOf(received).lost!].sort()).toEqual(["log/a", "log/b"]);
    expect(byTag(gapsIn(received))).toEqual([
      ["log/a", 2, 2, { code: 202, pattern: "log/+" }],
      ["log/b", null, 0, { code: 203, epoch: b, pattern: "log/+" }],
    ]);
    expect(byTag(messagesIn(received))).toEqual([
      ["log/a", 3, 3],
      ["log/b", 1, 1],
    ]);
  });

  // The epoch came from the broker's list and the offset from what was served here, under another epoch.
  test("lists a log that began anew with the position that is served, and tells of the new epoch after that", () => {
    let broker!: LaggingBroker;
    const hub = new TestHub({ logsMax: 1, broker: (memory) => (broker = laggingBroker(memory)) });
    const [early, subscriber] = [hub.open(), hub.open()];
    early.subscribe("log/a");
    publish(hub, early, ["log/a", 1], ["log/a", 2]);
    broker.release();
    hub.turns();
    const old = epochOf(hub, "log/a");
    publish(hub, early, ["log/b", 1]);
    publish(hub, early, ["log/a", 3]);
    subscriber.subscribe("log/+");
    hub.turns();
    const renewed = epochOf(hub, "log/a");
    expect(answerOf(subscriber.take()).unseen).toEqual([["log/a", old, 2]]);
    broker.release();
    hub.turns();
    const received = subscriber.take();
    expect(gapsIn(received)).toEqual([["log/a", null, 0, { code: 203, epoch: renewed, pattern: "log/+" }]]);
    expect(messagesIn(received)).toEqual([["log/a", 1, 3]]);
  });

  test("gets the last message of each log whose tags retain it, and the newest it asks for", () => {
    const hub = new TestHub({ rules: [keeps("log/kept", { size: 3 }, { retain: true }), roomy] });
    const publisher = hub.open();
    publish(hub, publisher, ["log/kept", 1], ["log/kept", 2], ["log/a", 1], ["log/a", 2], ["log/a", 3]);
    const [plain, asking] = [hub.open(), hub.open()];
    plain.subscribe("log/+");
    asking.subscribe("log/+", { last: 2 });
    hub.turns();
    expect(messagesIn(plain.take())).toEqual([["log/kept", 2, 2]]);
    expect(byTag(messagesIn(asking.take()))).toEqual([
      ["log/a", 2, 2],
      ["log/a", 3, 3],
      ["log/kept", 1, 1],
      ["log/kept", 2, 2],
    ]);
  });

  // It was not in the list, which the client takes to be complete, and its first messages went to nobody.
  test("gets all of a log that appears while the list is on its way", async () => {
    let broker!: LaggingBroker;
    const hub = new TestHub({ broker: (memory) => (broker = laggingBroker(memory, { lateAnswers: true })) });
    const [subscriber, other] = [hub.open(), hub.open()];
    subscriber.subscribe("log/+");
    broker.release(1);
    await settle(hub);
    other.publish("log/a", 1);
    hub.turns();
    // The first message overtakes the list.
    broker.releaseOf("log/a");
    while (broker.held > 0) {
      broker.release();
      await settle(hub);
    }
    other.publish("log/a", 2);
    hub.turns();
    while (broker.held > 0) {
      broker.release();
      await settle(hub);
    }
    const received = subscriber.take();
    expect(answerOf(received).unseen).toEqual([]);
    expect(messagesIn(received)).toEqual([
      ["log/a", 1, 1],
      ["log/a", 2, 2],
    ]);
  });
});
