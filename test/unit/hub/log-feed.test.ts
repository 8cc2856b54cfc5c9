/** From a feed that loses, repeats and lags to what subscribers get; the model test found most of these by chance. */
import { describe, expect, test } from "bun:test";
import type { Answer, Broker, Page } from "../../../src/broker/broker.ts";
import { type LaggingBroker, laggingBroker } from "../../harness/lagging-broker.ts";
import { gapsIn, keeps, messagesIn, settle, TestHub } from "./support.ts";

/** A hub whose feed is held back; answers come at once. */
function lagging(): { hub: TestHub; broker: LaggingBroker } {
  let broker!: LaggingBroker;
  const hub = new TestHub({ broker: (memory) => (broker = laggingBroker(memory)) });
  return { hub, broker };
}

/** A hub with the feed and all answers held back. */
function late(hold: (broker: LaggingBroker) => Broker = (broker) => broker): { hub: TestHub; broker: LaggingBroker } {
  let broker!: LaggingBroker;
  const hub = new TestHub({ broker: (memory) => hold((broker = laggingBroker(memory, { lateAnswers: true }))) });
  return { hub, broker };
}

/** Lets everything go that is held back, until nothing is. */
async function releaseAll(hub: TestHub, broker: LaggingBroker): Promise<void> {
  do {
    broker.release();
    await settle(hub);
  } while (broker.held > 0);
}

describe("A feed that lags", () => {
  test("that repeats is delivered once, and one that loses is made whole from the log", () => {
    const { hub, broker } = lagging();
    const subscriber = hub.open();
    subscriber.subscribe("log/a");
    for (const n of [1, 2, 3, 4]) {
      subscriber.publish("log/a", n);
      hub.turns();
    }
    broker.repeat();
    broker.drop();
    broker.release();
    hub.turns();
    expect(messagesIn(subscriber.take())).toEqual([1, 2, 3, 4].map((n) => ["log/a", n, n]));
  });

  test("is told as a gap where the log has forgotten what it lost", () => {
    let broker!: LaggingBroker;
    const rules = [keeps("log/#", { size: 2 })];
    const hub = new TestHub({ rules, broker: (memory) => (broker = laggingBroker(memory)) });
    const [exact, wild] = [hub.open(), hub.open("json")];
    exact.subscribe("log/a");
    wild.subscribe("log/+");
    hub.turns();
    for (const n of [1, 2, 3, 4]) {
      exact.publish("log/a", n);
      hub.turns();
    }
    for (let i = 0; i < 3; i++) broker.drop();
    broker.release();
    hub.turns();
    const messages = [
      ["log/a", 3, 3],
      ["log/a", 4, 4],
    ];
    const received = [exact.take(), wild.take()];
    expect(received.map(messagesIn)).toEqual([messages, messages]);
    expect(received.map(gapsIn)).toEqual([
      [["log/a", 1, 2, { code: 202 }]],
      [["log/a", 1, 2, { code: 202, pattern: "log/+" }]],
    ]);
  });

  // The position read for the newcomer was taken for what everybody had been served: what was on its way through the
  // feed was then dropped as old, and those who had subscribed through a wildcard before never got it.
  test("loses nothing for a wildcard when somebody subscribes to one of its tags meanwhile", () => {
    const { hub, broker } = lagging();
    const [early, newcomer] = [hub.open(), hub.open()];
    early.subscribe("log/+");
    early.publish("log/a", 1);
    hub.turns();
    newcomer.subscribe("log/a");
    newcomer.subscribe("log/#");
    broker.release();
    hub.turns();
    expect(messagesIn(early.take())).toEqual([["log/a", 1, 1]]);
    expect(messagesIn(newcomer.take())).toEqual([]);
  });

  // Messages read from the log do not say whose they are.
  test("does not give a publisher its own message back when that has to be read from the log", () => {
    const { hub, broker } = lagging();
    const [one, two] = [hub.open(), hub.open()];
    for (const subscriber of [one, two]) subscriber.subscribe("log/a");
    one.publish("log/a", 1, { echo: false });
    hub.turns();
    one.publish("log/a", 2);
    hub.turns();
    broker.drop();
    broker.release();
    hub.turns();
    expect([one.take(), two.take()].map(messagesIn)).toEqual([
      [["log/a", 2, 2]],
      [
        ["log/a", 1, 1],
        ["log/a", 2, 2],
      ],
    ]);
  });
});

describe("With answers that come late", () => {
  // The second one waited for ever: the log whose position it had asked for was gone with the first one's failure.
  test("a read that fails for one subscriber leaves the other its answer", async () => {
    let failures = 1;
    const { hub, broker } = late((held) =>
      patched(held, {
        history: (...asked): Answer<Page> => {
          return failures-- > 0 ? Promise.reject(new Error("away")) : held.history(...asked);
        },
      }),
    );
    const [unlucky, lucky] = [hub.open(), hub.open()];
    for (const subscriber of [unlucky, lucky]) subscriber.subscribe("log/a");
    await releaseAll(hub, broker);
    expect(unlucky.take().map((message) => message.slice(0, 3))).toEqual([[17, 1, 115]]);
    expect(lucky.take().map(([code, ref]) => [code, ref])).toEqual([[16, 1]]);
    lucky.publish("log/a", 1);
    await releaseAll(hub, broker);
    expect(messagesIn(lucky.take())).toEqual([["log/a", 1, 1]]);
  });

  // Whoever had left had the next of its logs read all the same, without any interest in it. What was published then was
  // never missed, and the position read before it was taken for the position of who came next.
  test("nothing more is read for a subscriber that has left", async () => {
    const { hub, broker } = late();
    const [gone, next, publisher] = [hub.open(), hub.open(), hub.open()];
    const since = new Map(["log/b", "log/a"].map((tag) => [tag, { epoch: 1, offset: 1 }] as const));
    gone.subscribe("log/+", { since });
    for (let i = 0; i < 2; i++) {
      broker.release(1);
      await settle(hub);
    }
    gone.native.drop();
    broker.release(1);
    await settle(hub);
    publisher.publish("log/b", 1);
    hub.turns();
    next.subscribe("log/b");
    await releaseAll(hub, broker);
    const [answer] = next.take();
    expect(answer?.[2]).toMatchObject({ position: [expect.any(Number), 1] });
    publisher.publish("log/b", 2);
    await releaseAll(hub, broker);
    expect(messagesIn(next.take())).toEqual([["log/b", 2, 2]]);
  });

  test("a repair that fails is repeated", async () => {
    let failures = 0;
    const { hub, broker } = late((held) =>
      patched(held, {
        history: (...asked): Answer<Page> => {
          if (failures-- <= 0) return held.history(...asked);
          return Promise.reject(new Error("away"));
        },
      }),
    );
    const subscriber = hub.open();
    subscriber.subscribe("log/a");
    await releaseAll(hub, broker);
    for (const n of [1, 2]) {
      subscriber.publish("log/a", n);
      hub.turns();
    }
    broker.drop();
    failures = 2;
    await releaseAll(hub, broker);
    expect(messagesIn(subscriber.take())).toEqual([]);
    for (let i = 0; i < 2; i++) {
      hub.advance(500);
      await releaseAll(hub, broker);
    }
    expect(messagesIn(subscriber.take())).toEqual([
      ["log/a", 1, 1],
      ["log/a", 2, 2],
    ]);
  });
});

/** A log that was dropped and began anew under another epoch. */
describe("A new epoch", () => {
  test("is told to everybody on the tag before anything of it", () => {
    const hub = new TestHub({ logsMax: 1 });
    const [exact, wild] = [hub.open(), hub.open()];
    exact.subscribe("log/a");
    wild.subscribe("log/+");
    exact.publish("log/a", "old");
    hub.turns();
    exact.publish("log/b", "takes its place");
    hub.turns();
    for (const subscriber of [exact, wild]) subscriber.take();
    exact.publish("log/a", "new");
    hub.turns();
    const epoch = hub.memory.logs("main", "log/a", 1).logs[0]?.epoch;
    expect(exact.take()).toEqual([
      [20, "log/a", null, 0, { code: 203, epoch }],
      [18, "log/a", 1, "new"],
    ]);
    expect(wild.take()).toEqual([
      [20, "log/a", null, 0, { code: 203, epoch, pattern: "log/+" }],
      [18, "log/a", 1, "new", null, "log/+", epoch],
    ]);
  });
});

function patched(broker: Broker, changes: Partial<Broker>): Broker {
  return new Proxy(broker, {
    get(target, name) {
      const change = Reflect.get(changes, name) as unknown;
      const member = change ?? (Reflect.get(target, name, target) as unknown);
      return typeof member === "function" ? member.bind(change ? changes : target) : member;
    },
  });
}
