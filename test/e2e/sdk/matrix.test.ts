/**
 * The SDK in each runtime that it is made for, against a real server that is killed, restarted, paused and slowed: one
 * suite, whose scenarios are one test per runtime each. The runtimes work side by side, each on one scenario at a time.
 */
import { afterAll, expect, test } from "bun:test";
import { type Runtime, runtimes } from "./runtimes.ts";
import { scenarios } from "./scenarios.ts";

/** Tests wait for their turn; what hangs is found by the shorter deadlines of the scenarios. */
const timeoutMs = 120_000;

/** A runtime that is started when it is first needed. */
class Lane {
  readonly #start: () => Promise<Runtime>;
  #runtime: Promise<Runtime> | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(start: () => Promise<Runtime>) {
    this.#start = start;
  }

  run(scenario: string): Promise<void> {
    const turn = this.#last.then(async () => {
      this.#runtime ??= this.#start();
      await (await this.#runtime).run(scenario);
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async stop(): Promise<void> {
    await (await this.#runtime)?.[Symbol.asyncDispose]();
  }
}

const lanes = Object.entries(runtimes).map(([name, start]) => ({ name, lane: new Lane(start) }));

afterAll(async () => {
  await Promise.all(lanes.map(({ lane }) => lane.stop()));
});

for (const scenario of scenarios) {
  for (const { name, lane } of lanes) {
    test.concurrent(`the SDK in ${name}: ${scenario.name}`, () => lane.run(scenario.name), timeoutMs);
  }
}

test("scenarios have names of their own", () => {
  expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length);
});
