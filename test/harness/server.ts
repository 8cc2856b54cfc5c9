/** A whole server: in this process with its log kept, or as a child process started as its users start it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve as resolvePath } from "node:path";
import type { Config } from "../../src/config/config.ts";
import type { LogFields, Logger } from "../../src/core/logger.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { openServer, type RunningServer } from "../../src/server.ts";
import { FakeClock } from "./clock.ts";
import { resolve } from "./config.ts";
import { Conditions, within } from "./deadline.ts";
import { root } from "./source-tree.ts";
import { WireClient, type WireOptions } from "./wire-client.ts";

export const adminToken = "admin-token-for-tests";

export interface LogEntry {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: LogFields;
}

/** Keeps what is logged. */
export class KeptLog implements Logger {
  readonly entries: LogEntry[] = [];
  readonly #conditions = new Conditions();

  debug(message: string, fields: LogFields = {}): void {
    this.#keep("debug", message, fields);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#keep("info", message, fields);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#keep("warn", message, fields);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#keep("error", message, fields);
  }

  /** Entries with this message. */
  of(message: string): readonly LogEntry[] {
    return this.entries.filter((entry) => entry.message === message);
  }

  /** Waits for an entry with this message. */
  until(message: string): Promise<LogEntry> {
    return this.#conditions.until(
      () => this.of(message)[0],
      () => `"${message}" in the log; ${this.entries.map((entry) => entry.message).join(", ")}`,
    );
  }

  /** Waits until `holds`, looking again after each entry. */
  async untilHolds(holds: () => boolean, what: string): Promise<void> {
    await this.#conditions.until(() => holds() || undefined, what);
  }

  #keep(level: keyof Logger, message: string, fields: LogFields): void {
    this.entries.push({ level, message, fields });
    this.#conditions.check();
  }
}

/** Time stands still until it is advanced, while turns end as they do with real sockets. */
export class SocketClock extends FakeClock {
  override endOfTurn(run: () => void): void {
    setImmediate(run);
  }
}

export interface ServerOptions {
  /** Text of the configuration file. */
  readonly toml?: string;
  readonly flags?: readonly string[];
  /** Default: real time. */
  readonly clock?: Clock;
}

export class TestServer implements AsyncDisposable {
  readonly running: RunningServer;
  readonly config: Config;
  readonly log: KeptLog;
  readonly url: string;
  readonly http: string;
  #stopped = false;

  constructor(running: RunningServer, config: Config, log: KeptLog) {
    this.running = running;
    this.config = config;
    this.log = log;
    const s = running.tlsNames === null ? "" : "s";
    this.http = `http${s}://${running.host}:${running.port}`;
    this.url = `ws${s}://${running.host}:${running.port}/ws`;
  }

  /** A client that has connected by op 1 with the admin token, unless told otherwise. */
  connect(options: WireOptions = {}): Promise<WireClient> {
    return WireClient.open(this.url, { token: adminToken, ...options });
  }

  /** A client that has sent nothing yet. */
  dial(options: WireOptions = {}): Promise<WireClient> {
    return WireClient.open(this.url, options);
  }

  async stop(abort?: AbortSignal): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.running.stop(abort);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Starts a server on a free port of loopback, with `adminToken`. */
export async function startServer({ toml = "", flags = [], clock }: ServerOptions = {}): Promise<TestServer> {
  const argv = ["--port", "0", "--admin-token", adminToken, ...flags];
  const { config } = await resolve({ toml, argv });
  const log = new KeptLog();
  return new TestServer(await openServer(config, log, clock === undefined ? {} : { clock }), config, log);
}

/** A directory that is gone after the test. */
export function scratchDirectory(parent = tmpdir()): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(parent, "tagcast-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** The program as a command line; `TAGCAST_EXE` names a compiled one to test instead of the source. */
export function program(): readonly string[] {
  const exe = process.env["TAGCAST_EXE"];
  return exe === undefined || exe === "" ? [process.execPath, join(root, "src/main.ts")] : [resolvePath(exe)];
}

export interface ProcessOptions {
  /** Behind the program's name. */
  readonly args: readonly string[];
  /** Beside PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command line that starts the one given to it. */
  readonly wrapper?: (command: readonly string[]) => readonly string[];
  readonly cwd?: string;
}

/** A child process whose output is kept. */
export class Program implements AsyncDisposable {
  stdout = "";
  stderr = "";
  readonly exited: Promise<number>;
  readonly pid: number;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #conditions = new Conditions();

  constructor({ args, env = {}, wrapper = (command) => command, cwd = root }: ProcessOptions) {
    const command = wrapper([...program(), ...args]);
    const { PATH = "", HOME = "" } = process.env;
    this.#child = Bun.spawn([...command], {
      cwd,
      env: { PATH, HOME, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.pid = this.#child.pid;
    const out = this.#keep(this.#child.stdout, (text) => (this.stdout += text));
    const err = this.#keep(this.#child.stderr, (text) => (this.stderr += text));
    this.exited = Promise.all([this.#child.exited, out, err]).then(([code]) => code);
    void this.exited.then(() => this.#conditions.check());
  }

  /** The exit status, all output kept; waits for it. */
  end(ms?: number): Promise<number> {
    return within(this.exited, () => `the end of the process; ${this.#told()}`, ms);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** The first match in what it writes; waits for it. */
  async until(pattern: RegExp, stream: "stdout" | "stderr" = "stdout", ms?: number): Promise<RegExpExecArray> {
    let over = false;
    void this.exited.then(() => (over = true));
    const found = await this.#conditions.until(
      () => pattern.exec(this[stream]) ?? (over ? null : undefined),
      () => `${pattern} on ${stream}; ${this.#told()}`,
      ms,
    );
    if (found === null) throw new Error(`Ended without ${pattern} on ${stream}: ${this.#told()}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
    await this.exited;
  }

  async #keep(stream: ReadableStream<Uint8Array>, keep: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      keep(decoder.decode(chunk, { stream: true }));
      this.#conditions.check();
    }
  }

  #told(): string {
    return JSON.stringify({ stdout: this.stdout.slice(-2000), stderr: this.stderr.slice(-2000) });
  }
}

export class ServerProcess extends Program {
  /** Known once it listens. */
  url = "";
  /** The admin token: the one it printed, or was given. */
  token = "";

  /** `http://host:port` */
  get http(): string {
    return new URL(this.url.replace(/^ws/, "http")).origin;
  }

  connect(options: WireOptions = {}): Promise<WireClient> {
    return WireClient.open(this.url, { token: this.token, ...options });
  }

  /** A client that has sent nothing yet. */
  dial(options: WireOptions = {}): Promise<WireClient> {
    return WireClient.open(this.url, options);
  }
}

/** The admin token that a process was started with; empty: none. */
function configuredToken({ args = [], env = {} }: Partial<ProcessOptions>): string {
  const at = args.indexOf("--admin-token");
  return (at < 0 ? env["TAGCAST_ADMIN_TOKEN"] : args[at + 1]) ?? "";
}

/** Longer than a start takes beside everything else that a busy machine starts. */
const startMs = 10_000;

/** Starts `serve` on a free port; settles once its welcome is out, within `ms`. `args` follow `serve`. */
export async function startProcess(options: Partial<ProcessOptions> = {}, ms = startMs): Promise<ServerProcess> {
  const server = new ServerProcess({ ...options, args: ["serve", "--port", "0", ...(options.args ?? [])] });
  try {
    const [, url = ""] = await server.until(/^tagcast listens on (\S+) .*\n/m, "stdout", ms);
    server.url = url;
    server.token = /^Admin token of this run: (.+)$/m.exec(server.stdout)?.[1] ?? configuredToken(options);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}
