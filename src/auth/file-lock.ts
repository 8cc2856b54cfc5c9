/**
 * Mutual exclusion between processes that edit one file: a lock file beside it, created with O_EXCL, names its holder.
 *
 *   <file>.lock         {"pid", "host", "timeMs"}: whoever could create it may edit
 *   <file>.lock.break   held for the moment in which a dead holder's lock is removed, so that two waiters cannot each
 *                       remove one, the second of which is alive
 */
import { open, readFile, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { z } from "zod";
import { TokenStoreError } from "../core/token-store.ts";
import type { Clock } from "../lib/clock.ts";

export const lockWaitMs = 5_000;
const pollMs = 20;
/** A lock whose holder cannot be looked up (another host, or no text yet) is dead at this age. An edit takes milliseconds. */
const unknownHolderMs = 60_000;

export interface LockOptions {
  readonly clock: Clock;
  /** Milliseconds; `lockWaitMs` unless given. */
  readonly waitMs?: number | undefined;
}

const holderSchema = z.object({ pid: z.int().min(1), host: z.string(), timeMs: z.number() });

/**
 * Runs `edit` while no other process edits `path`.
 * @throws TokenStoreError `unavailable` when the lock was not to be had in time
 */
export async function withFileLock<T>(path: string, options: LockOptions, edit: () => Promise<T>): Promise<T> {
  const lockPath = `${path}.lock`;
  await acquire(lockPath, options);
  try {
    return await edit();
  } finally {
    await unlink(lockPath).catch(ignoreMissing);
  }
}

async function acquire(lockPath: string, { clock, waitMs = lockWaitMs }: LockOptions): Promise<void> {
  const endMs = clock.monotonicMs() + waitMs;
  while (!(await created(lockPath, clock))) {
    if (await isStale(lockPath, clock)) await removeStale(lockPath, clock);
    else if (clock.monotonicMs() >= endMs) throw await busy(lockPath, waitMs);
    else await new Promise<void>((resolve) => clock.after(pollMs, resolve));
  }
}

/** Whether this call created the lock file. */
async function created(lockPath: string, clock: Clock): Promise<boolean> {
  try {
    const file = await open(lockPath, "wx", 0o600);
    try {
      await file.writeFile(JSON.stringify({ pid: process.pid, host: hostname(), timeMs: clock.wallMs() }));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw new TokenStoreError("unavailable", `Cannot create the lock file "${lockPath}"`, { cause: error });
  }
}

async function isStale(lockPath: string, clock: Clock): Promise<boolean> {
  const [text, status] = await Promise.all([
    readFile(lockPath, "utf8").catch(ignoreMissing),
    stat(lockPath).catch(ignoreMissing),
  ]);
  if (text === undefined || status === undefined) return false;
  const holder = holderSchema.safeParse(parseJson(text));
  if (!holder.success || holder.data.host !== hostname()) return clock.wallMs() - status.mtimeMs > unknownHolderMs;
  // In a container every incarnation has the same pid: a lock older than this process is not its own.
  if (holder.data.pid === process.pid) return status.mtimeMs < Date.now() - process.uptime() * 1000 - 1000;
  return !isAlive(holder.data.pid);
}

async function removeStale(lockPath: string, clock: Clock): Promise<void> {
  const breakPath = `${lockPath}.break`;
  if (!(await created(breakPath, clock))) {
    // Whoever broke the lock died within those microseconds, long ago.
    const status = await stat(breakPath).catch(ignoreMissing);
    if (status && clock.wallMs() - status.mtimeMs > unknownHolderMs) await unlink(breakPath).catch(ignoreMissing);
    else await new Promise<void>((resolve) => clock.after(pollMs, resolve));
    return;
  }
  try {
    if (await isStale(lockPath, clock)) await unlink(lockPath).catch(ignoreMissing);
  } finally {
    await unlink(breakPath).catch(ignoreMissing);
  }
}

async function busy(lockPath: string, waitMs: number): Promise<TokenStoreError> {
  const holder = holderSchema.safeParse(parseJson((await readFile(lockPath, "utf8").catch(ignoreMissing)) ?? ""));
  const who = holder.success ? `process ${holder.data.pid} on "${holder.data.host}"` : "another process";
  return new TokenStoreError(
    "unavailable",
    `The token file is being edited by ${who} for more than ${waitMs} ms; if that cannot be, remove "${lockPath}"`,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
