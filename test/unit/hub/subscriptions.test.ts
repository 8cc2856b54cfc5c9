/** Subscribing with a broker that answers late: whatever happens meanwhile, each subscribe is answered once, and rightly. */
import { describe, expect, test } from "bun:test";
import { unsubscribes } from "../../../src/core/codes.ts";
import { Grants } from "../../../src/core/grants.ts";
import { type LaggingBroker, laggingBroker } from "../../harness/lagging-broker.ts";
import { app, identity, keeps, messagesIn, roomy, settle, TestHub, type TestHubOptions } from "./support.ts";

function late(options: TestHubOptions = {}): { hub: TestHub; broker: LaggingBroker } {
  let broker!: LaggingBroker;
  const hub = new TestHub({
    ...options,
    broker: (memory) => (broker = laggingBroker(memory, { lateAnswers: true })),
  });
  return { hub, broker };
}

async function release(hub: TestHub, broker: LaggingBroker, count = Infinity): Promise<void> {
  broker.release(count);
  await settle(hub);
}

async function releaseAll(hub: TestHub, broker: LaggingBroker): Promise<void> {
  do await release(hub, broker);
  while (broker.held > 0);
}

describe("A subscribe that is still to be answered", () => {
  // It never was: the subscription had ended, and with it whoever was to be answered.
  test("is refused when the client unsubscribes", async () => {
    const { hub, broker } = late();
    const subscriber = hub.open();
    subscriber.subscribe("log/a");
    hub.hub.unsubscribe(subscriber, "log/a");
    await releaseAll(hub, broker);
    expect(subscriber.take().map((message) => message.slice(0, 3))).toEqual([[17, 1, 112]]);
  });

  test("is refused when the grant goes, and op 21 is for subscriptions that were answered", async () => {
    const { hub, broker } = late();
    const subscriber = hub.open();
    subscriber.subscribe("log/b");
    await releaseAll(hub, broker);
    subscriber.take();
    subscriber.subscribe("log/a");
    subscriber.subscribe("log/#");
    Object.assign(subscriber, { identity: { ...identity, grants: new Grants({}) } });
    hub.hub.regrant(subscriber);
    await releaseAll(hub, broker);
    expect(subscriber.take().map((message) => message.slice(0, 3))).toEqual([
      [21, "log/b", unsubscribes.revoked.code],
      [17, 2, 103],
      [17, 3, 103],
    ]);
  });

  test("is forgotten when the client has gone", async () => {
    const { hub, broker } = late();
    const subscriber = hub.open();
    subscriber.subscribe("log/a");
    subscriber.subscribe("log/#", { since: new Map([["log/a", { epoch: 1, offset: 1 }]]) });
    subscriber.native.drop();
    await releaseAll(hub, broker);
    expect([subscriber.take(), hub.hub.subscriptions.count, hub.native.connections.size]).toEqual([[], 0, 0]);
  });
});

describe("A tag with presence", () => {
  // The position was read before the members were joined. When the log was lost between, the client was answered with a
  // position that meant nothing any more, and everything up to that offset of the new log was kept from it.
  test("is answered with the position after the members, and loses nothing to a log that begins anew", async () => {
    const rules = [keeps("log/a", { size: 9 }, { presence: true }), roomy];
    const { hub, broker } = late({ rules, logsMax: 1 });
    const [subscriber, publisher] = [hub.open(), hub.open()];
    const publish = (tag: string, payload: number) => {
      publisher.publish(tag, payload);
      hub.turns();
    };
    publisher.subscribe("log/a");
    await releaseAll(hub, broker);
    publish("log/a", 1);
    await releaseAll(hub, broker);
    subscriber.subscribe("log/a", { presence: true });
    for (let i = 0; i < 2; i++) await release(hub, broker, 1);
    // The log gives way to another one, and begins anew; the instance hears of it before the members are known.
    publish("log/b", 0);
    for (const n of [2, 3]) publish("log/a", n);
    while (broker.releaseOf("log/a"));
    await releaseAll(hub, broker);
    publish("log/a", 4);
    await releaseAll(hub, broker);
    const { epoch } = hub.memory.logs(app, "log/a", 1).logs[0]!;
    const [answer, ...rest] = subscriber.take();
    expect(answer?.[2]).toMatchObject({ position: [epoch, 0], presence: { count: 2 } });
    expect(messagesIn(rest)).toEqual([1, 2, 3].map((offset) => ["log/a", offset, offset + 1]));
  });
});
