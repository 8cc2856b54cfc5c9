/**
 * Keeps the process below its limit of file descriptors, where the runtime's accept loop spins. Connections that send
 * nothing are not told to anybody, so what is looked at is how many descriptors are open: above a mark nobody listens.
 */
import { closeSync, openSync, readdirSync, statSync } from "node:fs";
import type { Logger } from "../core/logger.ts";
import type { Clock, Timer } from "../lib/clock.ts";

/** How many descriptors are open: at rest, and from half of the mark on. */
const lookEveryMs = 250;
const lookCloselyMs = 20;
/** How long nobody listens at least: a flood goes on at once, and each turn costs a server of the runtime. */
const pauseMinMs = 1000;

/**
 * Descriptors held for nothing but to be given back once nobody listens: a flood takes the last one before anybody can
 * look, and the process has files and connections of its own to open.
 */
const reserve = 8;

export interface Marks {
  /** From so many on nobody listens; 0: never mind. */
  readonly high: number;
  /** Up to so many it is listened again. */
  readonly low: number;
}

/**
 * `wished`: null for marks that follow from the limit, 0 for none.
 * @throws Error, with what to do, where the mark is not below the limit
 */
export function descriptorMarks(wished: number | null, limit: number | null): Marks {
  const high = wished ?? (limit === null ? 0 : Math.floor(limit * 0.97));
  if (limit !== null && high >= limit) {
    throw new Error(
      `descriptors-max is ${high}, but only ${limit} file descriptors are allowed: raise the limit (ulimit -n) or lower the setting`,
    );
  }
  // Above what connections may take by default (`connectionBound`), so that a full server still says that it is full.
  return { high, low: Math.floor(high * 0.985) };
}

/** Open descriptors of this process, or null where the system does not tell. */
export function openDescriptors(): number | null {
  try {
    // Newer kernels tell the number without listing them, and without a descriptor for it.
    const { size } = statSync("/proc/self/fd");
    return size > 0 ? size : readdirSync("/proc/self/fd").length - 1;
  } catch (error) {
    // None is left to list them with.
    return error instanceof Error && "code" in error && error.code === "EMFILE" ? Number.POSITIVE_INFINITY : null;
  }
}

export interface GuardParts {
  readonly marks: Marks;
  /** Of the process; null: unknown. */
  readonly limit: number | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: this process's. */
  readonly open?: () => number | null;
  /** Default 8. */
  readonly reserved?: number;
}

/** What it stops and starts. */
export interface Pausable {
  readonly listening: boolean;
  pause(): void;
  resume(): void;
}

export class DescriptorGuard {
  readonly counts = { pauses: 0 };
  readonly limit: number | null;
  readonly #marks: Marks;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #open: () => number | null;
  readonly #reserved: number;
  readonly #held: number[] = [];
  #listener: Pausable | null = null;
  #timer: Timer | null = null;
  #close = false;
  /** Monotonic; null: it is listened. */
  #pausedAtMs: number | null = null;

  constructor({ marks, limit, clock, log, open = openDescriptors, reserved = reserve }: GuardParts) {
    this.#marks = marks;
    this.limit = limit;
    this.#clock = clock;
    this.#log = log;
    this.#open = open;
    this.#reserved = reserved;
  }

  get open(): number | null {
    return this.#open();
  }

  get listening(): boolean {
    return this.#listener?.listening ?? false;
  }

  /** From now on it is looked after. */
  guard(listener: Pausable): void {
    this.#listener = listener;
    if (this.#marks.high === 0 || this.#open() === null) return;
    this.#hold();
    this.#lookEvery(lookEveryMs);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#release();
  }

  #lookEvery(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.every(ms, () => this.#look());
  }

  #look(): void {
    const open = this.#open();
    if (open === null) return;
    const { high, low } = this.#marks;
    if (this.#pausedAtMs === null && open >= high) this.#pause(open);
    else if (this.#pausedAtMs !== null && open <= low) this.#resume(open, this.#pausedAtMs);
    const close = open > high / 2;
    if (close === this.#close) return;
    this.#close = close;
    this.#lookEvery(close ? lookCloselyMs : lookEveryMs);
  }

  #pause(open: number): void {
    this.#pausedAtMs = this.#clock.monotonicMs();
    this.counts.pauses++;
    this.#listener?.pause();
    this.#release();
    const fields = { open, limit: this.limit, mark: this.#marks.high };
    this.#log.warn("too many open file descriptors: nobody can connect until there are fewer", fields);
  }

  #resume(open: number, pausedAtMs: number): void {
    const pausedMs = this.#clock.monotonicMs() - pausedAtMs;
    if (pausedMs < pauseMinMs) return;
    this.#pausedAtMs = null;
    this.#hold();
    this.#listener?.resume();
    this.#log.warn("fewer open file descriptors: listening again", { open, pausedMs: Math.round(pausedMs) });
  }

  #hold(): void {
    try {
      while (this.#held.length < this.#reserved) this.#held.push(openSync("/dev/null", "r"));
    } catch (error) {
      this.#log.warn("cannot hold descriptors in reserve", { held: this.#held.length, error });
    }
  }

  #release(): void {
    for (const file of this.#held.splice(0)) closeSync(file);
  }
}
