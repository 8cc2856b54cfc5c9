/** The memory broker: the contract, as it is and behind a lagging feed, and the bounds that are its own. */
import { describe, expect, test } from "bun:test";
import type { Batch, FeedEvent } from "../../../src/broker/broker.ts";
import { type MemoryBroker, type MemoryBrokerOptions, openMemoryBroker } from "../../../src/broker/memory.ts";
import { messageOverheadBytes } from "../../../src/broker/memory/log.ts";
import { errors } from "../../../src/core/codes.ts";
import type { TagRule } from "../../../src/core/tag-rule.ts";
import { brokerContract, comparisonContract, type OpenBroker } from "../../contract/broker.ts";
import {
  body,
  draft,
  everything,
  keeps,
  main,
  numbered,
  numbers,
  offsets,
  retained,
  roomy,
  texts,
} from "../../contract/broker/kit.ts";
import { FakeClock } from "../../harness/clock.ts";
import { laggingBroker } from "../../harness/lagging-broker.ts";

brokerContract("The memory broker", async ({ idempotencyWindowMs }) => {
  const clock = new FakeClock();
  const make = () => openMemoryBroker({ clock, logsMaxBytes: 1 << 27, logsMax: 1000, idempotencyWindowMs });
  const broker = make();
  return { broker, clock, restart: make, close: () => broker.stop() };
});

// Shows that the suite itself can be passed by a broker in another process.
const openLate: OpenBroker = async ({ idempotencyWindowMs }) => {
  const clock = new FakeClock();
  const options = { clock, logsMaxBytes: 1 << 27, logsMax: 1000, idempotencyWindowMs };
  const make = () => laggingBroker(openMemoryBroker(options), { lateAnswers: true, onHeld: setImmediate });
  const broker = make();
  return { broker, clock, restart: make, close: () => broker.stop() };
};
const late = "The memory broker with late answers and a late feed";
brokerContract(late, openLate);
comparisonContract(late, openLate);

const cost = (bytes: number) => bytes + messageOverheadBytes;

interface Opened {
  readonly broker: MemoryBroker;
  readonly clock: FakeClock;
  readonly events: FeedEvent[];
  readonly add: (tag: string, list: readonly string[], rule?: TagRule) => void;
  readonly kept: (tag: string) => string[];
}

function open(options: Partial<MemoryBrokerOptions> = {}): Opened {
  const clock = new FakeClock();
  const broker = openMemoryBroker({
    clock,
    logsMaxBytes: 1 << 20,
    logsMax: 100,
    idempotencyWindowMs: 10_000,
    ...options,
  });
  const events: FeedEvent[] = [];
  broker.start({ messages: (event) => void events.push(event), presence() {}, relayed() {}, resynced() {} });
  return {
    broker,
    clock,
    events,
    add(tag, list, rule = roomy) {
      const [answer] = broker.append([{ app: main, tag, rule, drafts: list.map((one) => draft(one)) }]);
      expect(answer?.error).toBeUndefined();
    },
    kept: (tag) => texts(broker.history(main, tag, roomy, 0, everything).messages),
  };
}

/** Each of `cost(100)` bytes, in the order of their numbers. */
const hundreds = (from: number, to: number) => numbers(from, to).map((n) => `${n}`.padEnd(100));

describe("A log", () => {
  test("holds no more than its rule keeps, to the message", () => {
    const { broker, add, kept } = open();
    add("size", numbered(1, 20), keeps({ size: 3 }));
    expect(kept("size")).toEqual(numbered(18, 20));
    add("bytes", hundreds(1, 9), keeps({ size: 100, bytes: 399 }));
    expect(kept("bytes")).toEqual(hundreds(7, 9));
    add("retain", numbered(1, 5), retained);
    expect(kept("retain")).toEqual(["m5"]);
    add("both", numbered(1, 5), { ...retained, history: { size: 2 } });
    expect(kept("both")).toEqual(["m4", "m5"]);
    expect(broker.stats().messages).toBe(3 + 3 + 1 + 2);
  });

  test("is cut by the rule that a read brings, to nothing where that gives no log", () => {
    const { broker, add } = open();
    add("t", numbered(1, 9));
    expect(offsets(broker.history(main, "t", keeps({ size: 2 }), 0, everything).messages)).toEqual([8, 9]);
    const page = broker.history(main, "t", { ...roomy, history: null }, 0, everything);
    expect(page).toMatchObject({ top: 9, oldest: 10, messages: [] });
  });

  test("ages on its own when nobody asks for it", () => {
    const { broker, clock, add } = open();
    for (const n of numbers(1, 50)) add(`t/${n}`, ["a", "b"], keeps({ size: 10, ttlMs: 5000 }));
    add("stays", ["a"]);
    clock.advance(4000);
    expect(broker.stats().messages).toBe(101);
    clock.advance(4000);
    expect(broker.stats()).toMatchObject({ messages: 1, bytes: cost(1), logs: 51 });
  });

  test("shows its age in logs() to the millisecond", () => {
    const { broker, clock, add } = open();
    add("t", numbered(1, 2), keeps({ size: 10, ttlMs: 300 }));
    clock.advance(300);
    expect(broker.logs(main, "+", 10).logs).toMatchObject([{ top: 2, oldest: 1 }]);
    clock.advance(1);
    expect(broker.logs(main, "+", 10).logs).toMatchObject([{ top: 2, oldest: 3 }]);
  });

  test("is announced one event a batch, with the messages that are stored", () => {
    const { broker, events } = open();
    broker.subscribe(main, "t");
    broker.subscribe(main, "#");
    const batch: Batch = { app: main, tag: "t", rule: roomy, drafts: [draft("a", "k"), draft("b", "k"), draft("c")] };
    broker.append([batch, batch]);
    expect(events.map(({ first, drafts }) => [first, drafts])).toEqual([
      [1, [0, 2]],
      [3, [2]],
    ]);
    const stored = broker.history(main, "t", roomy, 0, everything).messages;
    expect(events.flatMap(({ messages }) => messages).every((message, i) => message === stored[i])).toBe(true);
  });

  test("keeps its order where the feed appends in turn", () => {
    const clock = new FakeClock();
    const broker = openMemoryBroker({ clock, logsMaxBytes: 1 << 20, logsMax: 100, idempotencyWindowMs: 1000 });
    const told: string[] = [];
    const add = (tag: string, text: string) => ({ app: main, tag, rule: roomy, drafts: [draft(text)] });
    broker.start({
      messages({ tag, messages }) {
        told.push(...texts(messages));
        if (tag === "a") broker.append([add("b", "nested")]);
      },
      presence() {},
      relayed() {},
      resynced() {},
    });
    broker.subscribe(main, "+");
    broker.append([add("a", "first"), add("b", "second")]);
    expect(told).toEqual(["first", "nested", "second"]);
    expect(texts(broker.history(main, "b", roomy, 0, everything).messages)).toEqual(["nested", "second"]);
  });
});

describe("The memory of all logs", () => {
  test("stays within its bound, and offsets and epochs stay", () => {
    const { broker, add } = open({ logsMaxBytes: 10 * cost(100) });
    const { epoch } = broker.history(main, "t1", roomy, 0, everything);
    for (let round = 0; round < 5; round++) {
      for (const n of numbers(1, 4)) {
        add(`t${n}`, hundreds(1, 3));
        expect(broker.stats().bytes).toBeLessThanOrEqual(10 * cost(100));
      }
    }
    expect(broker.stats()).toMatchObject({ messages: 10, bytes: 10 * cost(100), logs: 4 });
    const page = broker.history(main, "t1", roomy, 0, everything);
    expect([page.epoch, page.top]).toEqual([epoch, 15]);
    expect(page.oldest).toBe(16 - page.messages.length);
  });

  test("is paid for by the log that takes more than its share, not by quiet ones", () => {
    const { add, kept } = open({ logsMaxBytes: 10 * cost(100) });
    add("quiet", hundreds(1, 2));
    add("other", hundreds(1, 1));
    for (const n of numbers(1, 50)) add("busy", hundreds(n, n));
    expect(kept("quiet")).toEqual(hundreds(1, 2));
    expect(kept("other")).toEqual(hundreds(1, 1));
    expect(kept("busy")).toEqual(hundreds(44, 50));
  });

  test("is paid for by the logs used least recently where none takes more than its share", () => {
    const { broker, add, kept } = open({ logsMaxBytes: 4 * cost(100) });
    for (const n of numbers(1, 4)) add(`t${n}`, hundreds(n, n));
    broker.history(main, "t1", roomy, 0, { count: 0, bytes: 0 });
    add("t5", hundreds(5, 5));
    expect(["t1", "t2", "t3", "t4", "t5"].map((tag) => kept(tag).length)).toEqual([1, 0, 1, 1, 1]);
  });

  test("never takes the message that was just appended, though its log is the largest", () => {
    const { add, kept } = open({ logsMaxBytes: 10 * cost(100) });
    add("a", ["x".repeat(5 * cost(100))]);
    add("b", ["y".repeat(6 * cost(100))]);
    expect([kept("a").length, kept("b").length]).toEqual([0, 1]);
  });

  test("refuses a batch with a message that cannot fit alone, whole, and other batches not", () => {
    const { broker, events } = open({ logsMaxBytes: 1000 });
    broker.subscribe(main, "#");
    const max = 1000 - messageOverheadBytes;
    const batch = (tag: string, ...sizes: number[]) => ({
      app: main,
      tag,
      rule: roomy,
      drafts: sizes.map((n) => draft("x".repeat(n))),
    });
    const [refused, taken] = broker.append([batch("t", 1, max + 1), batch("u", max)]);
    expect(refused).toEqual({ error: errors.payloadTooLarge });
    expect(offsets(taken?.positions ?? [])).toEqual([1]);
    expect(events.map(({ tag }) => tag)).toEqual(["u"]);
    expect(broker.stats()).toMatchObject({ messages: 1, bytes: 1000 });
  });
});

describe("The number of logs", () => {
  test("drops the log without messages used least recently first, and its epoch with it", () => {
    const { broker, add, kept } = open({ logsMax: 4 });
    const epochOf = (tag: string) => broker.history(main, tag, roomy, 0, everything).epoch;
    add("full", ["a"]);
    const first = epochOf("empty 1");
    const second = epochOf("empty 2");
    epochOf("empty 3");
    expect(epochOf("empty 1")).toBe(first);
    add("new", ["b"]);
    expect(broker.stats().logs).toBe(4);
    expect(epochOf("empty 1")).toBe(first);
    expect(kept("full")).toEqual(["a"]);
    expect(epochOf("empty 2")).not.toBe(second);
    expect(broker.stats()).toMatchObject({ logs: 4, messages: 2 });
  });

  test("drops the log used least recently where all have messages, and begins a new epoch for it", () => {
    const { broker, add, kept } = open({ logsMax: 2 });
    add("a", numbered(1, 3));
    const { epoch } = broker.history(main, "a", roomy, 0, everything);
    add("b", ["b"]);
    add("c", ["c"]);
    expect(
      broker
        .logs(main, "#", 10)
        .logs.map(({ tag }) => tag)
        .toSorted(),
    ).toEqual(["b", "c"]);
    expect(broker.stats()).toMatchObject({ logs: 2, messages: 2, bytes: 2 * cost(1) });
    add("a", ["again"]);
    const page = broker.history(main, "a", roomy, 0, everything);
    expect(page.epoch).not.toBe(epoch);
    expect(page.top).toBe(1);
    expect(kept("c")).toEqual(["c"]);
  });

  test("forgets a dropped log's keys with it", () => {
    const { broker, add } = open({ logsMax: 1 });
    const publish = () =>
      broker.append([{ app: main, tag: "a", rule: roomy, drafts: [draft("x", "k")] }])[0]?.positions?.[0];
    const first = publish();
    add("b", ["b"]);
    const second = publish();
    expect(second).toMatchObject({ offset: 1, repeated: false });
    expect(second?.epoch).not.toBe(first?.epoch);
    expect(publish()).toEqual({ ...second!, repeated: true });
  });
});

describe("Idempotency keys", () => {
  const use = (broker: MemoryBroker, key: string, tag = "t") =>
    broker.append([{ app: main, tag, rule: roomy, drafts: [{ body: body("x"), key }] }])[0]?.positions?.[0]?.repeated;

  test("are bounded by number, the oldest going first", () => {
    const { broker } = open({ idempotencyKeysMax: 3 });
    for (const key of ["a", "b", "c", "d"]) expect(use(broker, key)).toBe(false);
    expect(broker.stats().idempotencyKeys).toBe(3);
    expect(["d", "c", "b"].map((key) => use(broker, key))).toEqual([true, true, true]);
    expect(use(broker, "a")).toBe(false);
    expect(use(broker, "b")).toBe(false);
  });

  test("of the tag that floods are forgotten first, and counted", () => {
    const { broker } = open({ idempotencyKeysMax: 100 });
    const quiet = numbers(1, 8).map((n) => `quiet/${n}`);
    for (const tag of quiet) use(broker, "k", tag);
    for (const n of numbers(1, 500)) use(broker, `k${n}`, "flood");
    expect(broker.stats()).toMatchObject({ idempotencyKeys: 100, idempotencyKeysForgotten: 408 });
    // Though they are the oldest, and though a quiet tag is the one that needs room.
    expect(use(broker, "l", "quiet/1")).toBe(false);
    for (const tag of quiet) expect(use(broker, "k", tag)).toBe(true);
    expect(use(broker, "k410", "flood")).toBe(true);
    expect(use(broker, "k409", "flood")).toBe(false);
    expect(broker.stats()).toMatchObject({ idempotencyKeys: 100, idempotencyKeysForgotten: 410 });
  });

  test("are counted as forgotten when there is no room for their log", () => {
    const { broker, clock } = open({ logsMax: 2, idempotencyKeysMax: 10 });
    for (const key of ["a", "b", "c"]) use(broker, key, "t");
    for (const tag of ["u", "v"]) use(broker, "a", tag);
    expect(broker.stats()).toMatchObject({ logs: 2, idempotencyKeysForgotten: 3 });
    // Nobody can find them: they give way first, and do not count again.
    for (const n of numbers(1, 8)) use(broker, `k${n}`, "u");
    expect(broker.stats()).toMatchObject({ idempotencyKeys: 10, idempotencyKeysForgotten: 3 });
    expect([use(broker, "a", "u"), use(broker, "a", "v"), use(broker, "k1", "u")]).toEqual([true, true, true]);
    clock.advance(20_000);
    expect(broker.stats()).toMatchObject({ idempotencyKeys: 0, idempotencyKeysForgotten: 3 });
  });

  test("are freed after their window though nobody publishes", () => {
    const { broker, clock } = open({ idempotencyWindowMs: 5000 });
    for (const n of numbers(1, 50)) use(broker, `k${n}`, `t${n}`);
    clock.advance(4000);
    expect(broker.stats().idempotencyKeys).toBe(50);
    clock.advance(4000);
    expect(broker.stats().idempotencyKeys).toBe(0);
  });

  test("used again after their window last as long as the later use", () => {
    const { broker, clock } = open({ idempotencyWindowMs: 999 });
    // More keys than one use forgets, so that the first record of "k" outlives its window.
    for (const key of ["x", "y", "z", "k"]) use(broker, key);
    clock.advance(999);
    expect(use(broker, "k")).toBe(false);
    clock.advance(500);
    expect(use(broker, "k")).toBe(true);
    expect(broker.stats().idempotencyKeys).toBe(1);
  });
});

describe("Presence in memory", () => {
  test("counts members and costs nothing when the last has left", () => {
    const { broker } = open();
    const members = numbers(1, 5).map((n) => ({ client: "c", generation: n, info: null }));
    for (const member of members) broker.join(main, "t", member);
    broker.join(main, "u", members[0]!);
    expect(broker.stats().members).toBe(6);
    for (const tag of ["t", "u"]) for (const member of members) broker.leave(main, tag, member);
    expect(broker.stats().members).toBe(0);
  });

  test("announces a member again whose info has changed, without counting it twice", () => {
    const clock = new FakeClock();
    const broker = openMemoryBroker({ clock, logsMaxBytes: 1000, logsMax: 1, idempotencyWindowMs: 1 });
    const told: [number, number][] = [];
    broker.start({
      messages() {},
      presence: ({ joined, count }) => void told.push([joined.length, count]),
      relayed() {},
      resynced() {},
    });
    for (const info of [1, 1, 2]) broker.join(main, "t", { client: "c", generation: 1, info: new Uint8Array([info]) });
    expect(told).toEqual([
      [1, 1],
      [1, 1],
    ]);
    expect([...(broker.members(main, "t").members?.[0]?.info ?? [])]).toEqual([2]);
  });
});

test("A stopped memory broker leaves no timer behind and still answers reads", () => {
  const { broker, clock, add, kept } = open();
  add("t", ["a"]);
  expect(clock.timers).toBe(1);
  broker.stop();
  expect(clock.timers).toBe(0);
  expect(kept("t")).toEqual(["a"]);
});
