/** How the programs of peers are started, found ready, and ended. */
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processTree, unlessGone } from "../measure/cpu.ts";
import type { RunningPeer } from "./peer.ts";

const host = "127.0.0.1";
const startDeadlineMs = 20_000;
const stopDeadlineMs = 10_000;
/** What a program may say of its end in an error of ours. */
const complaintCharactersMax = 2000;

export const benchFolder = join(import.meta.dir, "..");
export const checkoutFolder = join(benchFolder, "..");
export const setupCommand = "bun run bench:setup";

export interface Launch {
  readonly command: readonly string[];
  /** Default: that of the bench. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For its configuration and data: removed once it has ended. */
  readonly folder: string;
  /** Where it will listen; absent: the first line that it prints holds `127.0.0.1:<port>`. */
  readonly port?: number;
}

export function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "tagcast-peer-"));
}

/** Full path of a program, also where Debian puts servers; null: it is not installed. */
export function findProgram(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin` });
}

/** What a program says of its version: the first group of `pattern`; null where it is not installed. */
export function programVersion(name: string, flag: string, pattern: RegExp): string | null {
  const path = findProgram(name);
  if (path === null) return null;
  const { stdout, stderr } = Bun.spawnSync([path, flag], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  return pattern.exec(`${stdout.toString()}${stderr.toString()}`)?.[1] ?? "unknown";
}

/** A port that nothing listens on. Another program could take it before it is used; the start of the peer then fails. */
export function sparePort(): number {
  const listener = Bun.listen({ hostname: host, port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/**
 * Settles once it accepts connections.
 * @throws with what it said where it does not in time, nothing is left behind then; `stop()` throws so where it has ended
 *   by itself meanwhile
 */
export async function launch({ command, cwd, env, folder, port }: Launch): Promise<RunningPeer> {
  const complaints = join(folder, "stderr");
  const spawn = () =>
    Bun.spawn([...command], {
      cwd: cwd ?? benchFolder,
      env: { ...process.env, ...env },
      stdin: "ignore",
      stdout: port === undefined ? "pipe" : "ignore",
      stderr: Bun.file(complaints),
    });
  let child: ReturnType<typeof spawn>;
  try {
    child = spawn();
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const stop = async () => {
    await end(child);
    const said = (await readFile(complaints, "utf8")).trim().slice(-complaintCharactersMax);
    await rm(folder, { recursive: true, force: true });
    return `${command.join(" ")} (${child.signalCode ?? `status ${child.exitCode}`}): ${said}`;
  };
  const stopRunning = async () => {
    const byItself = hasEnded(child);
    const story = await stop();
    if (byItself) throw new Error(`It ended by itself: ${story}`);
  };
  try {
    const listening = port ?? (await announcedPort(child));
    await listens(child, listening);
    let stopping: Promise<void> | null = null;
    const parts = [{ name: "server", pid: child.pid, port: listening }];
    return { host, port: listening, parts, stop: () => (stopping ??= stopRunning()) };
  } catch (error) {
    throw new Error(`It does not start: ${await stop()}`, { cause: error });
  }
}

function hasEnded(child: Bun.Subprocess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Asks the program to end, and ends what is left of its tree where that does not help. */
async function end(child: Bun.Subprocess): Promise<void> {
  const tree = processTree(child.pid);
  child.kill("SIGTERM");
  const until = performance.now() + stopDeadlineMs;
  while (tree.some(lives) && performance.now() < until) await Bun.sleep(5);
  // What outlives its parent would go on using the processors that others are measured on.
  for (const pid of tree) if (lives(pid)) process.kill(pid, "SIGKILL");
  await child.exited;
}

/** What has ended and waits to be collected by its parent does not. */
function lives(pid: number): boolean {
  const stat = unlessGone(() => readFileSync(`/proc/${pid}/stat`, "latin1"), "");
  return stat !== "" && stat.charAt(stat.lastIndexOf(")") + 2) !== "Z";
}

async function listens(child: Bun.Subprocess, port: number): Promise<void> {
  const until = performance.now() + startDeadlineMs;
  while (!(await accepts(port))) {
    if (hasEnded(child)) throw new Error("It ended before it listened");
    if (performance.now() > until) throw new Error(`It does not listen on port ${port}`);
    await Bun.sleep(20);
  }
}

async function accepts(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: host, port, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}

async function announcedPort(child: Bun.Subprocess): Promise<number> {
  if (!(child.stdout instanceof ReadableStream)) throw new Error("Its output is not read");
  const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  const timeout = setTimeout(() => child.kill("SIGKILL"), startDeadlineMs);
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  clearTimeout(timeout);
  const [line = ""] = text.split("\n", 1);
  const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
  if (port === undefined) throw new Error(`Its first line names no port: '${line}'`);
  void drain(reader);
  return Number(port);
}

/** Nobody looks at the rest, but a full pipe would stop the program. */
async function drain(reader: { read(): Promise<{ readonly done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}
