import { expect, test } from "bun:test";
import { Turn } from "../../../src/hub/turn.ts";
import { FakeClock, rethrow } from "../../harness/clock.ts";

test("a turn ends once, however often it is asked to: its steps in order, then the answers", () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  const turn = new Turn(clock, [() => ran.push("appends"), () => ran.push("topics")], rethrow);
  turn.flushLater({ flush: () => ran.push("answer 1") });
  turn.request();
  turn.flushLater({ flush: () => ran.push("answer 2") });
  expect([ran, clock.queued]).toEqual([[], 1]);
  clock.runTurn();
  expect([ran, clock.queued]).toEqual([["appends", "topics", "answer 1", "answer 2"], 0]);
});

test("answers that the steps of a turn make leave with it; what they ask for belongs to the next", () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  let first = true;
  const turn: Turn = new Turn(
    clock,
    [
      () => {
        ran.push("step");
        if (!first) return;
        first = false;
        turn.flushLater({ flush: () => ran.push("answer") });
        turn.request();
      },
    ],
    rethrow,
  );
  turn.request();
  clock.runTurn();
  expect([ran, clock.queued]).toEqual([["step", "answer"], 1]);
  clock.runTurn();
  expect([ran, clock.queued]).toEqual([["step", "answer", "step"], 0]);
});

test("a turn knows when it first had something to do", () => {
  const clock = new FakeClock();
  const turn = new Turn(clock, [], rethrow);
  clock.advance(10);
  turn.request();
  clock.advance(5);
  turn.request();
  clock.runTurn();
  expect(turn.beganAtMs).toBe(10);
});

test("a fault in a step or an answer is reported, and keeps nothing else of the turn from its end", () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  const faults: unknown[] = [];
  const fault = (name: string) => () => {
    throw new Error(name);
  };
  const turn = new Turn(clock, [fault("step"), () => ran.push("topics")], (error) => faults.push(error));
  turn.flushLater({ flush: fault("answer") });
  turn.flushLater({ flush: () => ran.push("another answer") });
  clock.runTurn();
  expect(ran).toEqual(["topics", "another answer"]);
  expect(faults.map(String)).toEqual(["Error: step", "Error: answer"]);
});
