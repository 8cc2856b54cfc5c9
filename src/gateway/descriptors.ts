/** How many sockets this process may hold. At its limit of file descriptors the runtime's accept loop spins, so we stay below it. */
import { readFileSync } from "node:fs";

/** Descriptors for everything but client sockets: files, logs, the broker. */
const reserved = 64;
/** Below this not even a handful of clients and the process's own files fit. */
export const descriptorsMin = 256;

/** The soft limit of open files, or null where the system does not tell. */
export function descriptorLimit(): number | null {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return soft === undefined || soft === "unlimited" ? null : Number(soft);
  } catch {
    return null;
  }
}

/**
 * Connections to accept at most. `wished`: 0 for as many as the limit allows.
 * @throws Error, with what to do, where the limit is too low
 */
export function connectionBound(wished: number, limit: number | null = descriptorLimit()): number {
  if (limit === null) return wished === 0 ? Number.POSITIVE_INFINITY : wished;
  if (limit < descriptorsMin) {
    throw new Error(
      `only ${limit} file descriptors are allowed, and ${descriptorsMin} are the least to work with: raise the limit (ulimit -n)`,
    );
  }
  const possible = Math.floor(limit * 0.95) - reserved;
  if (wished > possible) {
    throw new Error(
      `connections-max is ${wished}, but ${limit} file descriptors leave room for ${possible}: raise the limit (ulimit -n) or lower the setting`,
    );
  }
  return wished === 0 ? possible : wished;
}
