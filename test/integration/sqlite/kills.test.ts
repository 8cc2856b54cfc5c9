/** A server with a store is killed under load; the long form is `bun run powercut`. */
import { expect, test } from "bun:test";
import { createRandom } from "../../harness/random.ts";
import { AckLedger, type LogRead } from "../../powercut/ledger.ts";
import { runKills } from "../../powercut/kills.ts";

/** Of the whole run, for a machine that is busy. */
const limitMs = 120_000;

test.each(["8GiB", "2MiB"])(
  "killed at any moment, a server with room for %s of logs loses nothing acknowledged and has nothing twice",
  async (logsBytesMax) => {
    const random = createRandom();
    const outcome = await runKills({
      kills: 8,
      random,
      logsBytesMax,
      readEvery: 4,
      publishers: 3,
      say: () => {},
      untilMs: performance.now() + limitMs / 2,
    });
    expect({ seed: random.seed, violations: outcome.violations }).toEqual({ seed: random.seed, violations: [] });
    expect(outcome.kills).toBe(8);
    expect(outcome.acknowledged).toBeGreaterThan(0);
  },
  limitMs,
);

test("the checker of that sees what is lost, doubled, moved or missing", () => {
  const read = (epoch: number, top: number, messages: LogRead["messages"], size: number) => ({
    ...{ epoch, top, messages, size },
    acknowledged: 2,
  });
  const found = (use: (ledger: AckLedger) => void) => {
    const ledger = new AckLedger();
    ledger.ack("t", "a", [7, 1]);
    ledger.ack("t", "b", [7, 2]);
    use(ledger);
    return ledger.violations.length;
  };
  const [a, b] = [
    { offset: 1, key: "a" },
    { offset: 2, key: "b" },
  ];
  expect(found((ledger) => ledger.compare("t", read(7, 2, [a, b], 10)))).toBe(0);
  expect(found((ledger) => ledger.compare("t", read(7, 2, [b], 1)))).toBe(0);
  expect(found((ledger) => ledger.compare("t", read(7, 3, [a, b, { offset: 3, key: "c" }], 10)))).toBe(0);
  expect(found((ledger) => ledger.ack("t", "b", [7, 2]))).toBe(0);
  const wrong: ((ledger: AckLedger) => void)[] = [
    (ledger) => ledger.compare("t", read(7, 1, [a], 10)),
    (ledger) => ledger.compare("t", read(7, 2, [b], 2)),
    (ledger) => ledger.compare("t", read(7, 2, [a, { offset: 2, key: "c" }], 10)),
    (ledger) => ledger.compare("t", read(7, 3, [a, b, { offset: 3, key: "a" }], 10)),
    (ledger) => ledger.compare("t", read(7, 3, [a, { offset: 3, key: "b" }], 1)),
    (ledger) => ledger.compare("t", read(8, 2, [a, b], 10)),
    (ledger) => ledger.ack("t", "b", [7, 3]),
    (ledger) => ledger.ack("t", "c", [7, 2]),
    (ledger) => ledger.ack("t", "c", [8, 3]),
  ];
  for (const use of wrong) expect(found(use)).toBeGreaterThan(0);
});
