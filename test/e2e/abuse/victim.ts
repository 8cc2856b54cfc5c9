/** A server process under attack: what it takes of memory, what it counts, and what it logs of where the attack comes from. */
import { readFileSync } from "node:fs";
import { startConfigured } from "../../harness/configured-process.ts";
import { adminToken, type ServerProcess } from "../../harness/server.ts";
import type { WireClient, WireOptions } from "../../harness/wire-client.ts";

export const KiB = 1024;
export const MiB = 1024 ** 2;

/** How often is looked at what tells nobody when it changes. */
const lookMs = 50;
/** Longer than deadlines take on a busy machine. */
const patienceMs = 15_000;

export class Victim implements AsyncDisposable {
  readonly process: ServerProcess;

  constructor(process: ServerProcess) {
    this.process = process;
  }

  get url(): string {
    return this.process.url;
  }

  get http(): string {
    return this.process.http;
  }

  connect(options: WireOptions = {}): Promise<WireClient> {
    return this.process.connect({ token: adminToken, ...options });
  }

  /** Memory of the process now, and the most that it ever was. Bytes. */
  memory(field: "VmRSS" | "VmHWM" = "VmRSS"): number {
    const status = readFileSync(`/proc/${this.process.pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * KiB;
  }

  /** A sample of `/metrics`, by its name and labels as they stand there; the sum where it is the name alone. */
  async metric(name: string): Promise<number> {
    const response = await fetch(`${this.http}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } });
    const lines = (await response.text()).split("\n");
    const found = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  /** Waits until a metric is as it should be; its value. */
  async until(name: string, holds: (value: number) => boolean): Promise<number> {
    const end = performance.now() + patienceMs;
    for (;;) {
      const value = await this.metric(name);
      if (holds(value)) return value;
      if (performance.now() > end) throw new Error(`${name} is ${value}; ${this.process.stderr.slice(-2000)}`);
      await Bun.sleep(lookMs);
    }
  }

  /** The fields of all log lines with this message. */
  logged(message: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = this.process.stderr.split("\n").filter((line) => line.startsWith("{"));
    return lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ message: logged }) => logged === message);
  }

  /** The fields of the first log line with this message; waits for it. */
  async told(message: string): Promise<Readonly<Record<string, unknown>>> {
    await this.process.until(new RegExp(`"message":"${message}`), "stderr", patienceMs);
    return this.logged(message)[0] ?? {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

/** Starts a server with the admin token, which logs as JSON. `flags` in one text, separated by spaces. */
export async function startVictim(flags = "", toml = ""): Promise<Victim> {
  const all = `--log-format json ${flags}`.trim().split(/\s+/);
  return new Victim(await startConfigured({ toml, flags: all }));
}

/** Time is a part of slow attacks: nothing happens for so long, which is what is to be shown. */
export function nothingFor(ms: number): Promise<void> {
  return Bun.sleep(ms);
}

export const authorized = { Authorization: `Bearer ${adminToken}` };
