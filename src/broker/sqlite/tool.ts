/** A store in the hands of an operator, while no server has it: checked, and made as small as it can be. */
import { isEpoch } from "../../core/position.ts";
import { missingBytes, structuralProblems } from "./damage.ts";
import { StoredLog } from "./log.ts";
import { checkedEntry } from "./reading.ts";
import { readRun } from "./run.ts";
import { type EntryRow, type LogRow, pageBytes, type Statements } from "./schema.ts";
import { guarded, isThere, openStoreFile, type StoreFile, type StoreFileOptions, walOf } from "./store-file.ts";
import { StoreTrouble } from "./trouble.ts";
import { inspectWal } from "./wal.ts";

export interface StoreReport {
  readonly logs: number;
  readonly messages: number;
  /** Of the messages. */
  readonly bytes: number;
  readonly fileBytes: number;
  readonly freeBytes: number;
  /** False: the server that had it was killed, or lost power; its next start sees to that. */
  readonly isStopped: boolean;
  /** Sentences, without full stops; none: all is well. */
  readonly problems: readonly string[];
}

type SummedRow = EntryRow & { readonly log: number; readonly sum: number };

/** Problems that are told one by one. */
const problemsMax = 100;
const entriesAtOnce = 64;
const pagesAtOnce = 1000;

/** Opens a store that has to be there. @throws StoreTrouble */
function openThere(path: string, options?: StoreFileOptions): StoreFile {
  if (!isThere(path)) throw new StoreTrouble("failed", "There is no such file");
  return openStoreFile(path, options);
}

/**
 * Reads all of it, and leaves it as the next start has to find it. @throws StoreTrouble where it cannot be opened, `damaged` where
 * it cannot be read
 */
export function checkStore(path: string): StoreReport {
  const file = openThere(path, { keepsWal: true });
  try {
    return guarded(() => report(file));
  } finally {
    file.close();
  }
}

function report(file: StoreFile): StoreReport {
  const problems = structuralProblems(file, problemsMax);
  if (file.walPages === 0) problems.push(...missingBytes(file));
  if (inspectWal(walOf(file.path)) === "cut") problems.unshift("The end of the write-ahead log cannot be used");
  const check = new Check(problems);
  for (const row of file.statements.logs.all()) check.log(row);
  for (const row of entriesOf(file.statements)) check.entry(row);
  const { logs, messages, bytes } = check;
  return {
    ...{ logs, messages, bytes },
    fileBytes: file.sizes.fileBytes,
    freeBytes: file.freePages * pageBytes,
    isStopped: readRun(file.statements)?.isRunning !== true,
    problems: problems.slice(0, problemsMax),
  };
}

function* entriesOf({ someEntries }: Statements): Generator<SummedRow> {
  let log = 0;
  let last = 0;
  for (;;) {
    const rows = someEntries.all(log, last, entriesAtOnce);
    for (const row of rows) {
      ({ log, last } = row);
      yield row;
    }
    if (rows.length < entriesAtOnce) return;
  }
}

/** What has to hold between rows. */
class Check {
  logs = 0;
  messages = 0;
  bytes = 0;
  readonly #problems: string[];
  readonly #known = new Map<number, StoredLog>();
  readonly #names = new Set<string>();
  #before: SummedRow | null = null;

  constructor(problems: string[]) {
    this.#problems = problems;
  }

  log(row: LogRow): void {
    const log = StoredLog.of(row);
    this.#known.set(row.id, log);
    if (log.isGone) return;
    this.logs++;
    const name = JSON.stringify([row.app, row.tag]);
    if (this.#names.has(name)) this.#found(`${nameOf(log)} has two logs`);
    this.#names.add(name);
    if (!isEpoch(row.epoch)) this.#found(`${nameOf(log)} has no valid epoch`);
  }

  entry(row: SummedRow): void {
    const log = this.#known.get(row.log);
    if (log === undefined) return this.#found(`Messages of an unknown log ${row.log}`);
    const first = row.last - row.count + 1;
    const before = this.#before?.log === row.log ? this.#before : null;
    this.#before = row;
    if (log.isGone) return;
    this.messages += row.count;
    const where = `${nameOf(log)}, offset ${first}`;
    try {
      const entry = checkedEntry(row);
      let bytes = 0;
      for (let i = 0; i < entry.count; i++) bytes += entry.next().bytes.length;
      this.bytes += bytes;
      if (before !== null && before.sum + bytes !== row.sum) this.#found(`${where}: the count of bytes is wrong`);
    } catch (error) {
      if (!(error instanceof StoreTrouble)) throw error;
      this.#found(`${where}: ${error.message}`);
    }
    if (before === null) return;
    if (before.last + 1 !== first) this.#found(`${where}: offsets do not go on from ${before.last}`);
    if (before.time > row.time) this.#found(`${where}: its time is before that of the offset before`);
  }

  #found(problem: string): void {
    this.#problems.push(problem);
  }
}

function nameOf({ app, tag }: StoredLog): string {
  return `${JSON.stringify(tag)} of application ${app}`;
}

/**
 * Gives unused pages back to the file system, some at a time: it can be ended at any moment, and needs no room of its own.
 * `told` is told of bytes given back and to be given back. Resolves with the bytes by which the file is smaller.
 * @throws StoreTrouble
 */
export async function compactStore(path: string, told: (doneBytes: number, allBytes: number) => void): Promise<number> {
  const file = openThere(path);
  const { fileBytes } = file.sizes;
  try {
    if (readRun(file.statements)?.isRunning === true) {
      throw new StoreTrouble("failed", "It was not stopped in order: start a server on it first, and stop that");
    }
    const all = file.freePages;
    for (let left = all; left > 0;) {
      guarded(() => file.shrink(pagesAtOnce));
      await file.sync();
      await file.checkpoint();
      const now = file.freePages;
      if (now >= left) break;
      left = now;
      told((all - left) * pageBytes, all * pageBytes);
    }
    return fileBytes - file.sizes.fileBytes;
  } finally {
    file.close();
  }
}
