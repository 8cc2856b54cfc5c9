import { expect, test } from "bun:test";
import { Heartbeat } from "../../../src/client/heartbeat.ts";
import { FakeClock } from "../../harness/clock.ts";

function beating() {
  const clock = new FakeClock();
  const log: string[] = [];
  const note = (what: string) => () => void log.push(`${what} at ${clock.monotonicMs()}`);
  const heartbeat = new Heartbeat({ timers: clock, intervalMs: 10_000, ping: note("ping"), dead: note("dead") });
  return { clock, log, heartbeat };
}

test("a silent connection is pinged after one interval, and dead after two and a grace", () => {
  const { clock, log } = beating();
  clock.advance(60_000);
  expect(log).toEqual(["ping at 10000", "dead at 25000"]);
  expect(clock.timers).toBe(0);
});

test("whatever arrives puts the ping off", () => {
  const { clock, log, heartbeat } = beating();
  for (let i = 0; i < 5; i++) {
    clock.advance(9_000);
    heartbeat.heard();
  }
  expect(log).toEqual([]);
  clock.advance(10_000);
  expect(log).toEqual(["ping at 55000"]);
});

test("an answer to the ping begins a new silence", () => {
  const { clock, log, heartbeat } = beating();
  clock.advance(12_000);
  heartbeat.heard();
  clock.advance(24_000);
  expect(log).toEqual(["ping at 10000", "ping at 25000"]);
});

test("a stopped heartbeat leaves no timer behind", () => {
  const { clock, heartbeat } = beating();
  heartbeat.stop();
  expect(clock.timers).toBe(0);
});
