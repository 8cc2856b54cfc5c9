/** The fake clock: tests of time stand on it. */
import { describe, expect, test } from "bun:test";
import { FakeClock } from "../../harness/clock.ts";

describe("FakeClock", () => {
  test("runs timers at the time they are due, in the order they are due", () => {
    const clock = new FakeClock(1000);
    const ran: string[] = [];
    const note = (name: string) => () => void ran.push(`${name} ${clock.monotonicMs()} ${clock.wallMs()}`);
    clock.every(10, note("every"));
    clock.after(25, note("after"));
    clock.after(10, note("tie"));
    clock.advance(9);
    expect(ran).toEqual([]);
    clock.advance(21);
    expect(ran).toEqual(["every 10 1010", "tie 10 1010", "every 20 1020", "after 25 1025", "every 30 1030"]);
    expect(clock.timers).toBe(1);
  });

  test("runs no timer that was cancelled, also by another timer at the same time", () => {
    const clock = new FakeClock();
    const ran: string[] = [];
    clock.after(5, () => second.cancel());
    const second = clock.after(5, () => void ran.push("second"));
    const own = clock.every(1, () => (ran.push("own"), own.cancel()));
    clock.advance(10);
    expect(ran).toEqual(["own"]);
    expect(clock.timers).toBe(0);
  });

  test("runs a timer set by a timer, when it is due before the end", () => {
    const clock = new FakeClock();
    const ran: number[] = [];
    clock.after(3, () => void clock.after(3, () => void ran.push(clock.monotonicMs())));
    clock.advance(6);
    expect(ran).toEqual([6]);
  });

  test("jumps the wall clock alone", () => {
    const clock = new FakeClock(1000);
    let ran = 0;
    clock.every(10, () => ran++);
    clock.jumpWall(5000);
    clock.jumpWall(-7000);
    expect([clock.wallMs(), clock.monotonicMs(), ran]).toEqual([-1000, 0, 0]);
  });

  test("keeps what is queued within a turn for the next one", () => {
    const clock = new FakeClock();
    const ran: string[] = [];
    clock.endOfTurn(() => {
      ran.push("first");
      clock.endOfTurn(() => void ran.push("next"));
    });
    clock.endOfTurn(() => void ran.push("second"));
    expect(clock.runTurn()).toBe(2);
    expect(ran).toEqual(["first", "second"]);
    expect(clock.runAllTurns()).toBe(1);
    expect(ran).toEqual(["first", "second", "next"]);
    expect(clock.queued).toBe(0);
  });

  test("gives up on parts that wake each other for ever", () => {
    const clock = new FakeClock();
    const again = () => clock.endOfTurn(again);
    again();
    expect(() => clock.runAllTurns()).toThrow("Still busy");
  });
});
