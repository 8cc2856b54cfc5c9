/** `observe/muted-log.ts`: nobody floods the log, and nothing goes untold. */
import { expect, test } from "bun:test";
import { MutedLog } from "../../../src/observe/muted-log.ts";
import { FakeClock } from "../../harness/clock.ts";
import { KeptLog } from "../../harness/server.ts";

function open() {
  const clock = new FakeClock();
  const log = new KeptLog();
  return { clock, log, muted: new MutedLog(log, clock), fields: () => log.entries.map((entry) => entry.fields) };
}

test("a source is told of at once, and at the end of the second how often it came again", () => {
  const { clock, log, muted, fields } = open();
  for (let i = 0; i < 100; i++) muted.warn("refused", "192.0.2.1", { reason: "full" });
  expect(fields()).toEqual([{ from: "192.0.2.1", reason: "full" }]);
  clock.advance(1000);
  expect(fields()).toEqual([
    { from: "192.0.2.1", reason: "full" },
    { from: "192.0.2.1", reason: "full", count: 99 },
  ]);
  expect(log.entries.every(({ level, message }) => level === "warn" && message === "refused")).toBe(true);
  clock.advance(5000);
  expect([log.entries.length, clock.timers]).toEqual([2, 0]);
  muted.warn("refused", "192.0.2.1", {});
  expect(log.entries).toHaveLength(3);
});

test("sources and messages are told apart", () => {
  const { muted, fields } = open();
  muted.warn("refused", "192.0.2.1", {});
  muted.warn("refused", "192.0.2.2", {});
  muted.warn("slowed", "192.0.2.1", {});
  expect(fields()).toHaveLength(3);
});

test("of very many sources some are named, and the others counted", () => {
  const { clock, log, muted } = open();
  for (let i = 0; i < 1000; i++) muted.warn("refused", `10.0.${i >> 8}.${i & 255}`, {});
  clock.advance(1000);
  expect(log.of("refused")).toHaveLength(50);
  expect(log.of("more of the same, from other sources").map(({ fields }) => fields)).toEqual([{ count: 950 }]);
});

test("closing tells what was held back", () => {
  const { clock, muted, fields } = open();
  muted.warn("refused", "a", {});
  muted.warn("refused", "a", {});
  muted.close();
  expect([fields().at(-1), clock.timers]).toEqual([{ from: "a", count: 1 }, 0]);
});
