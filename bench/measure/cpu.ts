/**
 * CPU time of a process and everything under it, from the operating system's accounting (Linux). Nanoseconds come from
 * `schedstat` of every thread; `stat` counts in hundredths of a second, and holds what ended threads have used.
 */
import { readdirSync, readFileSync } from "node:fs";

/** `stat` counts user and system time apart, each cut to whole hundredths: a difference is this much too large at most. */
const statErrorSeconds = 0.02;
const ticksPerSecond = 100;

/** The process and its descendants, parents first; empty once it is gone. */
export function processTree(pid: number): readonly number[] {
  const tree = list(`/proc/${pid}/task`).length > 0 ? [pid] : [];
  for (const parent of tree) {
    for (const thread of list(`/proc/${parent}/task`)) {
      const children = read(`/proc/${parent}/task/${thread}/children`);
      for (const child of children.split(" ")) if (child.trim() !== "") tree.push(Number(child));
    }
  }
  return tree;
}

/** Counts from when it is opened. Takes well under a millisecond for a process with some threads. */
export class CpuMeter {
  readonly #pid: number;
  /** By process id and start time: ids are used again. */
  readonly #processes = new Map<string, ProcessTime>();
  readonly #before: number;

  constructor(pid: number) {
    this.#pid = pid;
    this.#before = this.#total();
  }

  /** Seconds of CPU time that the tree has used since the meter was opened; never falls, also where parts of it end. */
  seconds(): number {
    return this.#total() - this.#before;
  }

  #total(): number {
    for (const pid of processTree(this.#pid)) {
      const stat = readStat(pid);
      if (stat === null) continue;
      const key = `${pid} ${stat.startedAt}`;
      let time = this.#processes.get(key);
      if (time === undefined) this.#processes.set(key, (time = new ProcessTime(stat.seconds)));
      time.update(stat.seconds, threadTimes(pid));
    }
    let total = 0;
    for (const time of this.#processes.values()) total += time.seconds;
    return total;
  }
}

/** One process, also after its end. */
export class ProcessTime {
  seconds = 0;
  readonly #statBefore: number;
  /** Of threads that have been seen, by id. */
  readonly #threads = new Map<string, number>();
  /** Of threads whose id another thread has now. */
  #replaced = 0;
  #schedBefore: number | null = null;

  /** `statSeconds`: user and system time so far, as `stat` has it. */
  constructor(statSeconds: number) {
    this.#statBefore = statSeconds;
  }

  /** `threads`: seconds of each living thread, by id. */
  update(statSeconds: number, threads: ReadonlyMap<string, number>): void {
    for (const [thread, seconds] of threads) {
      const before = this.#threads.get(thread) ?? 0;
      if (seconds < before) this.#replaced += before;
      this.#threads.set(thread, seconds);
    }
    let sum = this.#replaced;
    for (const seconds of this.#threads.values()) sum += seconds;
    this.#schedBefore ??= sum;
    const byStat = statSeconds - this.#statBefore - statErrorSeconds;
    // What it had used when it was seen first counts too: a process that was started between two readings.
    this.seconds = Math.max(this.seconds, sum, this.#schedBefore + byStat);
  }
}

function threadTimes(pid: number): Map<string, number> {
  const times = new Map<string, number>();
  for (const thread of list(`/proc/${pid}/task`)) {
    const nanoseconds = Number.parseInt(read(`/proc/${pid}/task/${thread}/schedstat`), 10);
    if (!Number.isNaN(nanoseconds)) times.set(thread, nanoseconds / 1e9);
  }
  return times;
}

interface Stat {
  readonly seconds: number;
  /** Ticks since the system came up. */
  readonly startedAt: string;
}

function readStat(pid: number): Stat | null {
  const text = read(`/proc/${pid}/stat`);
  if (text === "") return null;
  // The name of the program stands in parentheses and may hold anything: fields are counted from behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { seconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond, startedAt: fields[19] ?? "" };
}

/** What has ended meanwhile is empty. */
function read(path: string): string {
  return unlessGone(() => readFileSync(path, "latin1"), "");
}

function list(path: string): readonly string[] {
  return unlessGone(() => readdirSync(path), []);
}

export function unlessGone<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return otherwise;
    throw error;
  }
}
