/** The lagging broker itself: a model test that trusts it must know that it lags, loses and repeats. */
import { describe, expect, test } from "bun:test";
import { openMemoryBroker } from "../../../src/broker/memory.ts";
import { draft, everything, main, numbers, roomy, texts } from "../../contract/broker/kit.ts";
import { FakeClock } from "../../harness/clock.ts";
import { type Faults, type LaggingOptions, laggingBroker } from "../../harness/lagging-broker.ts";
import { createRandom } from "../../harness/random.ts";

function open(options?: LaggingOptions) {
  const memory = openMemoryBroker({
    clock: new FakeClock(),
    logsMaxBytes: 1 << 20,
    logsMax: 100,
    idempotencyWindowMs: 1,
  });
  const broker = laggingBroker(memory, options);
  const told: string[] = [];
  void broker.start({
    messages: ({ tag, messages }) => void told.push(...texts(messages).map((text) => `${tag} ${text}`)),
    presence: ({ tag, version }) => void told.push(`${tag} version ${version}`),
    relayed() {},
    resynced() {},
  });
  void broker.subscribe(main, "#");
  const add = (tag: string, text: string) => broker.append([{ app: main, tag, rule: roomy, drafts: [draft(text)] }]);
  return { broker, memory, told, add };
}

describe("A lagging broker", () => {
  test("tells nothing before it is released, while the log has it at once", () => {
    const { broker, memory, told, add } = open();
    for (const text of ["1", "2"]) void add("a", text);
    void broker.join(main, "a", { client: "c", generation: 1, info: null });
    expect(told).toEqual([]);
    expect(texts(memory.history(main, "a", roomy, 0, everything).messages)).toEqual(["1", "2"]);
    expect(broker.release(1)).toBe(1);
    expect(told).toEqual(["a 1"]);
    expect(broker.release()).toBe(2);
    expect(told).toEqual(["a 1", "a 2", "a version 1"]);
  });

  test("loses, repeats and singles out by tag what it is told to", () => {
    const { broker, told, add } = open();
    for (const text of ["1", "2", "3"]) void add("a", text);
    void add("b", "1");
    expect([
      broker.drop("a"),
      broker.repeat("a"),
      broker.releaseOf("b"),
      broker.drop("b"),
      broker.releaseOf("c"),
    ]).toEqual([true, true, true, false, false]);
    broker.release();
    expect(told).toEqual(["a 2", "b 1", "a 3", "a 2"]);
    expect([broker.dropped, broker.repeated, broker.held]).toEqual([1, 1, 0]);
  });

  test("holds answers back too where asked, in their order", async () => {
    const { broker, add } = open({ lateAnswers: true });
    const done: string[] = [];
    const settled = Promise.all(
      ["1", "2"].map(async (text) => {
        await add("a", text);
        done.push(text);
      }),
    );
    await Promise.resolve();
    expect(done).toEqual([]);
    broker.release();
    await settled;
    expect(done).toEqual(["1", "2"]);
  });

  test("keeps the order of each tag by chance, and does the same for the same seed", () => {
    const run = (seed: number, faults: Faults) => {
      const { broker, told, add } = open();
      const random = createRandom(seed);
      for (const n of numbers(1, 200)) {
        void add(random.pick(["a", "b", "c"]), `${n}`);
        if (random.chance(0.5)) broker.step(random, faults);
      }
      while (broker.step(random, faults));
      return { told, broker };
    };
    const clean = run(7, {});
    expect(clean.told.length).toBe(200);
    expect(clean.told).not.toEqual(clean.told.toSorted((a, b) => Number(a.slice(2)) - Number(b.slice(2))));
    for (const tag of ["a", "b", "c"]) {
      const order = clean.told.filter((one) => one.startsWith(tag)).map((one) => Number(one.slice(2)));
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
    const faults = { idle: 0.1, drop: 0.1, repeat: 0.1 };
    const faulty = run(8, faults);
    expect(faulty.broker.dropped).toBeGreaterThan(5);
    expect(faulty.broker.repeated).toBeGreaterThan(5);
    expect(faulty.told.length).toBe(200 - faulty.broker.dropped + faulty.broker.repeated);
    expect(run(8, faults).told).toEqual(faulty.told);
    expect(run(9, faults).told).not.toEqual(faulty.told);
  });
});
