/**
 * What a service manager such as systemd is told: that the server is ready, that it is alive, and that it is about to end
 * (sd_notify(3), sd_watchdog_enabled(3)).
 */
import type { Clock, Timer } from "../lib/clock.ts";
import { openNotifySocket } from "./notify-socket.ts";

export interface SupervisorParts {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** What could not be told, and why. */
  onTrouble(error: Error): void;
}

export class Supervisor {
  readonly #send: ((text: string) => boolean) | null;
  readonly #parts: SupervisorParts;
  #watchdog: Timer | null = null;

  /** Where `NOTIFY_SOCKET` names no socket nobody is told anything. */
  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#send = this.#open();
  }

  /** Whether somebody listens. */
  get isThere(): boolean {
    return this.#send !== null;
  }

  /** Connections are accepted. From now on, where the manager watches, it hears twice in its interval that turns still end. */
  ready(status: string): void {
    if (this.#send === null) return;
    this.#tell(`READY=1\nSTATUS=${status}`);
    const intervalMs = watchdogIntervalMs(this.#parts.env);
    if (intervalMs !== null) this.#watchdog = this.#parts.clock.every(intervalMs / 2, () => this.#tell("WATCHDOG=1"));
  }

  /** It reads again what it was configured with, by `run`; connections go on. */
  async reload(run: () => Promise<unknown>): Promise<void> {
    this.#tell("RELOADING=1");
    await run();
    this.#tell("READY=1");
  }

  /** It ends in order, and goes on saying that it is alive until `close`. */
  stopping(status: string): void {
    this.#tell(`STOPPING=1\nSTATUS=${status}`);
  }

  close(): void {
    this.#watchdog?.cancel();
  }

  #open(): ((text: string) => boolean) | null {
    const path = this.#parts.env["NOTIFY_SOCKET"] ?? "";
    if (path === "") return null;
    try {
      return openNotifySocket(path);
    } catch (cause) {
      this.#parts.onTrouble(new Error("the service manager cannot be told anything", { cause }));
      return null;
    }
  }

  #tell(text: string): void {
    if (this.#send === null || this.#send(text)) return;
    const [what = ""] = text.split("\n");
    this.#parts.onTrouble(new Error(`the service manager was not told ${what}`));
  }
}

/** Milliseconds without a sign of life after which the manager ends this process; null: it does not watch it. */
function watchdogIntervalMs(env: SupervisorParts["env"]): number | null {
  const { WATCHDOG_USEC: microseconds = "", WATCHDOG_PID: pid = String(process.pid) } = env;
  return /^[1-9]\d*$/.test(microseconds) && pid === String(process.pid) ? Number(microseconds) / 1000 : null;
}
