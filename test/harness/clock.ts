/**
 * A clock that stands still until a test moves it. Timers run from within `advance`, in the order they are due; work
 * for the end of a turn waits for `runTurn`. Nothing here sleeps or uses real time.
 */
import type { Clock, Timer } from "../../src/lib/clock.ts";

/** More turns than any program that comes to rest needs: beyond it two parts wake each other for ever. */
const turnsMax = 10_000;

interface Alarm {
  dueMs: number;
  /** Null: once. */
  readonly intervalMs: number | null;
  readonly run: () => void;
}

/** For parts that report trouble: a fault is a failed test. */
export function rethrow(error: unknown): never {
  throw error;
}

export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  #turn: (() => void)[] = [];
  /** In the order they were set, which decides between alarms due at the same time. */
  readonly #alarms = new Set<Alarm>();

  /** `wallMs`: milliseconds since 1970 to begin at. */
  constructor(wallMs = 1_700_000_000_000) {
    this.#wallMs = wallMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  every(intervalMs: number, run: () => void): Timer {
    if (!(intervalMs > 0)) throw new Error(`An interval must be positive, not ${intervalMs}`);
    return this.#set({ dueMs: this.#monotonicMs + intervalMs, intervalMs, run });
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#set({ dueMs: this.#monotonicMs + Math.max(0, delayMs), intervalMs: null, run });
  }

  endOfTurn(run: () => void): void {
    this.#turn.push(run);
  }

  /** Moves both clocks on by `ms`, running every timer at the time it is due. */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new Error(`Time cannot pass by ${ms} ms`);
    const endMs = this.#monotonicMs + ms;
    for (let alarm = this.#next(endMs); alarm; alarm = this.#next(endMs)) {
      this.#moveTo(Math.max(alarm.dueMs, this.#monotonicMs));
      if (alarm.intervalMs === null) this.#alarms.delete(alarm);
      else alarm.dueMs += alarm.intervalMs;
      alarm.run();
    }
    this.#moveTo(endMs);
  }

  /** Moves the wall clock alone, forwards or backwards, as NTP or an operator would; no timer becomes due by it. */
  jumpWall(ms: number): void {
    this.#wallMs += ms;
  }

  /** Runs what is queued for the end of this turn; what that queues belongs to the next turn. Returns how many ran. */
  runTurn(): number {
    const due = this.#turn;
    this.#turn = [];
    for (const run of due) run();
    return due.length;
  }

  /** Runs turns until nothing is queued. Returns how many turns ran. */
  runAllTurns(): number {
    for (let turns = 0; turns < turnsMax; turns++) if (this.runTurn() === 0) return turns;
    throw new Error(`Still busy after ${turnsMax} turns`);
  }

  /** Timers that are set and not cancelled: a test can see that a stopped part left none behind. */
  get timers(): number {
    return this.#alarms.size;
  }

  /** Callbacks queued for the end of this turn. */
  get queued(): number {
    return this.#turn.length;
  }

  #set(alarm: Alarm): Timer {
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  #next(endMs: number): Alarm | null {
    let next: Alarm | null = null;
    for (const alarm of this.#alarms) if (alarm.dueMs <= endMs && (!next || alarm.dueMs < next.dueMs)) next = alarm;
    return next;
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}
