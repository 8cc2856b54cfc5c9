/**
 * Fuzzing in a process of its own, so that an input which crashes it, or never ends, is found too: the child writes each
 * input to a file that both map before it runs it.
 */
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import { scratchDirectory } from "../harness/server.ts";
import { minimise } from "./minimise.ts";

const bytesMax = 64 * 1024;
const headBytes = 8;
/** Without progress for so long, an input counts as one that never ends. */
const silenceMs = 10_000;
const lookMs = 100;
/** Each try is a process. */
const minimiseTries = 60;

/** Where a child tells what it is about to run. */
export class Note {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(path: string) {
    this.#bytes = Bun.mmap(path, { shared: true });
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
  }

  static create(path: string): Note {
    const file = openSync(path, "w+", 0o600);
    ftruncateSync(file, headBytes + bytesMax);
    closeSync(file);
    return new Note(path);
  }

  write(input: Uint8Array): void {
    this.#bytes.set(input.subarray(0, bytesMax), headBytes);
    this.#view.setUint32(4, Math.min(input.length, bytesMax));
    this.#view.setUint32(0, this.count + 1);
  }

  /** Inputs so far. */
  get count(): number {
    return this.#view.getUint32(0);
  }

  get input(): Uint8Array {
    return this.#bytes.slice(headBytes, headBytes + this.#view.getUint32(4));
  }
}

export interface Guarded {
  readonly status: number;
  /** What ended the child, where it did not end by itself. */
  readonly death: { readonly problem: string; readonly input: Uint8Array } | null;
}

/** Runs `command` and `--note <path>`; what it writes is passed on. */
export async function runGuarded(command: readonly string[], silentMs: number = silenceMs): Promise<Guarded> {
  using directory = scratchDirectory();
  const path = join(directory.path, "note");
  const note = Note.create(path);
  const child = Bun.spawn([...command, "--note", path], { stdin: "ignore", stdout: "inherit", stderr: "inherit" });
  let problem = "";
  let [count, changedMs] = [0, performance.now()];
  const timer = setInterval(() => {
    if (note.count !== count) [count, changedMs] = [note.count, performance.now()];
    else if (performance.now() - changedMs > silentMs) {
      problem = `Has not ended after ${silentMs / 1000} s`;
      child.kill("SIGKILL");
    }
  }, lookMs);
  const status = await child.exited;
  clearInterval(timer);
  if (problem === "" && status <= 2 && child.signalCode === null) return { status, death: null };
  problem ||= `The process ended with ${child.signalCode ?? status}`;
  return { status: 1, death: { problem, input: note.input } };
}

/** The smallest input found that still ends `command`, `--input <hex>`, otherwise than well. */
export function minimiseDeath(command: readonly string[], input: Uint8Array): Promise<Uint8Array> {
  const dies = async (candidate: Uint8Array): Promise<boolean> => {
    const hex = Buffer.from(candidate).toString("hex");
    const child = Bun.spawn([...command, "--input", hex], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      timeout: silenceMs,
      killSignal: "SIGKILL",
    });
    return (await child.exited) !== 0;
  };
  return minimise(input, dies, minimiseTries);
}
