/** The process as a `CliIo`: streams, signals, and how the program ends. */
import { writeSync } from "node:fs";
import type { CliIo } from "./io.ts";

export interface ProcessIo extends CliIo {
  /** Ends the process with the status of a command. */
  exit(code: number): never;
}

const stdoutFd = 1;
const stderrFd = 2;
/**
 * One Ctrl-C comes twice where a script runner stands between: from the terminal, which signals the whole group, and
 * from the runner, which passes it on at once. Nobody presses twice that fast.
 */
const sameSignalMs = 250;
/** 128 + the signal's number, as shells report it. */
const signalCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** Call once. Registers handlers of SIGINT and SIGTERM. */
export function openProcessIo(): ProcessIo {
  const controller = new AbortController();
  let signalledAtMs: number | null = null;
  let outFailure: unknown;
  let stdin: ReadableStream<Uint8Array> | undefined;

  for (const [name, code] of Object.entries(signalCodes)) {
    process.on(name, () => {
      const now = performance.now();
      if (signalledAtMs !== null && now - signalledAtMs >= sameSignalMs) process.exit(code);
      if (signalledAtMs !== null) return;
      signalledAtMs = now;
      controller.abort(name);
    });
  }

  return {
    out(text) {
      if (outFailure !== undefined) return;
      try {
        writeAll(stdoutFd, `${text}\n`);
      } catch (error) {
        outFailure = error;
        controller.abort("output closed");
      }
    },
    err(text) {
      // Where even complaints find no reader there is nobody left to tell.
      ignoreFailure(() => writeAll(stderrFd, `${text}\n`));
    },
    env: process.env,
    get stdin() {
      stdin ??= Bun.stdin.stream();
      return stdin;
    },
    signal: controller.signal,
    onHangup: (run) => void process.on("SIGHUP", run),
    exit(code) {
      if (outFailure === undefined || isClosed(outFailure)) {
        // `tagcast sub | head -1` has got what it wanted: that its command was cut short is no failure.
        process.exit(outFailure !== undefined && code === signalCodes.SIGINT ? 0 : code);
      }
      ignoreFailure(() => writeAll(stderrFd, `tagcast: cannot write to standard output: ${String(outFailure)}\n`));
      process.exit(code === 0 || code === signalCodes.SIGINT ? 1 : code);
    },
  };
}

/**
 * Writes everything before it returns, so that nothing is lost at exit and a slow reader slows the program down
 * instead of filling its memory. A pipe that another process made non-blocking takes parts, or nothing for now.
 */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") throw error;
      Bun.sleepSync(2);
    }
  }
}

/** Codes of a reader that went away: a closed pipe, a socket closed with something unread, a terminal that is gone. */
const closedCodes: readonly unknown[] = ["EPIPE", "ECONNRESET", "EIO"];

function isClosed(error: unknown): boolean {
  return closedCodes.includes(codeOf(error));
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function ignoreFailure(write: () => void): void {
  try {
    write();
  } catch {
    // Said by the caller: nothing can be done.
  }
}
