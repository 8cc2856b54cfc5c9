/**
 * The time by which a store counts ages: it goes on while the machine runs, whatever the wall clock does, and over
 * restarts. Where the machine was off meanwhile, only the wall clock can tell for how long.
 */
import { readFileSync } from "node:fs";
import { uptime } from "node:os";
import type { Clock } from "../../lib/clock.ts";

/** How long the machine has been running, and which run of it that is; `boot` is empty where that is not known. */
export interface Uptime {
  readonly boot: string;
  readonly ms: number;
}

/** An age, and what other clocks said then. */
export interface Anchor {
  readonly ageMs: number;
  readonly wallMs: number;
}

/** Of the start of a store. */
export interface StartAnchor extends Anchor {
  readonly uptime: Uptime;
}

export function systemUptime(): Uptime {
  return { boot: bootId(), ms: uptime() * 1000 };
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/**
 * What age it is now. `last`: the newest age that the store knows. In the same run of the machine its uptime tells exactly.
 * Otherwise at least as much time has passed as the machine has been running, and what the wall clock says if that is more: one
 * that was set back makes nothing older or younger.
 */
export function ageAtStart(started: StartAnchor | null, last: Anchor | null, now: Omit<StartAnchor, "ageMs">): number {
  const known = Math.max(started?.ageMs ?? 0, last?.ageMs ?? 0);
  if (started !== null && now.uptime.boot !== "" && started.uptime.boot === now.uptime.boot) {
    return Math.max(known, started.ageMs + (now.uptime.ms - started.uptime.ms));
  }
  const anchor = (started?.ageMs ?? -1) > (last?.ageMs ?? -1) ? started : last;
  if (anchor === null) return 0;
  const off = now.uptime.boot === "" ? 0 : now.uptime.ms;
  return Math.max(known, anchor.ageMs + Math.max(off, now.wallMs - anchor.wallMs));
}

/** Ages from a start on. */
export class AgeClock {
  readonly #clock: Clock;
  readonly #offsetMs: number;

  constructor(clock: Clock, ageMs: number) {
    this.#clock = clock;
    this.#offsetMs = Math.ceil(ageMs - clock.monotonicMs());
  }

  /** Milliseconds, whole. */
  nowMs(): number {
    return Math.floor(this.#offsetMs + this.#clock.monotonicMs());
  }
}
