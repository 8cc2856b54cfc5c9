/** How late the event loop is, by a clock that tests move. */
import { expect, test } from "bun:test";
import { LoopDelay } from "../../../src/observe/loop-delay.ts";
import { FakeClock } from "../../harness/clock.ts";

/** Timers become due this much later than they should. */
class LateClock extends FakeClock {
  lateMs = 0;
  #behindMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.#behindMs;
  }

  override every(intervalMs: number, run: () => void) {
    return super.every(intervalMs, () => {
      this.#behindMs += this.lateMs;
      run();
    });
  }
}

test("delays are told by quantile, once", () => {
  const clock = new LateClock();
  const delay = new LoopDelay(clock);
  expect(delay.take([0.5, 1])).toEqual([0, 0]);
  clock.advance(500);
  clock.lateMs = 80;
  clock.advance(50);
  clock.lateMs = 0;
  clock.advance(450);
  expect(delay.take([0.5, 0.9, 0.99, 1])).toEqual([0, 0, 80, 80]);
  expect(delay.take([1])).toEqual([0]);
});

test("a loop that nobody asks about is watched at a bounded cost, and not at all once closed", () => {
  const clock = new LateClock();
  const delay = new LoopDelay(clock);
  clock.lateMs = 1000;
  clock.advance(50);
  clock.lateMs = 0;
  for (let i = 0; i < 10_000; i++) clock.advance(50);
  expect(delay.take([1])).toEqual([0]);
  delay.close();
  expect(clock.timers).toBe(0);
});
