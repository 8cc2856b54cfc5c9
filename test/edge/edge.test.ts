/** The short form of `bun run soak:edge`. */
import { expect, test } from "bun:test";
import { createRandom } from "../harness/random.ts";
import { run } from "./run.ts";

test("a minute of cut networks and power cuts loses no reading that a device was told is kept, and doubles none", async () => {
  const random = createRandom();
  const told: string[] = [`seed ${random.seed}`];
  const say = (line: string) => void told.push(line);
  const outcome = await run({ seconds: 60, random, c: 200, python: 50, rate: 0.2, say });
  expect([outcome.faults, outcome.faults.length === 0 ? [] : told]).toEqual([[], []]);
  expect(outcome.acknowledged).toBeGreaterThan(1000);
  expect(outcome.kills).toBeGreaterThan(2);
}, 300_000);
