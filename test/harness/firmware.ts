/** Programs of the clients for microcontrollers: those in C compiled with the sanitizers, all of them driven by lines. */
import { join } from "node:path";
import { Conditions, within } from "./deadline.ts";
import { root } from "./source-tree.ts";

export const clientFolder = join(root, "examples/firmware/c");
export const testFolder = join(root, "test/integration/firmware/c");

/** As strict as the client promises to be. */
export const warnings = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror"];
const sanitizers = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

export interface Compilation {
  /** Full paths. */
  readonly sources: readonly string[];
  readonly out: string;
  readonly flags?: readonly string[];
  readonly libraries?: readonly string[];
}

/** Compiles with every warning an error and the sanitizers in; throws with what the compiler said. */
export async function compile({ sources, out, flags = [], libraries = [] }: Compilation): Promise<void> {
  const command = [
    "gcc",
    ...warnings,
    ...sanitizers,
    ...flags,
    `-I${clientFolder}`,
    "-o",
    out,
    ...sources,
    ...libraries,
  ];
  await using compiler = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [status, text] = await within(Promise.all([compiler.exited, compiler.stderr.text()]), "the compiler", 60_000);
  if (status !== 0) throw new Error(`${command.join(" ")}\n${text}`);
}

/** What a program says of itself when a sanitizer finds something is on standard error. */
export const sanitizerOptions = { ASAN_OPTIONS: "detect_leaks=0", UBSAN_OPTIONS: "print_stacktrace=1" };

/** One line of a program: an answer to a command, or an event. */
export interface Line {
  readonly answer?: number;
  readonly event?: string;
  readonly code: number;
  readonly ref: number;
  readonly epoch: number;
  readonly offset: number;
  readonly from: number;
  readonly size: number;
  readonly wait: number;
  readonly whole: boolean;
  readonly repeated: boolean;
  readonly tag?: string;
  readonly payload?: string;
  readonly meta?: string;
  readonly text?: string;
  readonly pattern?: string;
  readonly position?: readonly [number, number];
}

/** A program that takes commands by lines and prints lines of JSON. */
export class LineProgram implements AsyncDisposable {
  readonly events: Line[] = [];
  readonly exited: Promise<number>;
  stderr = "";
  readonly #answers: number[] = [];
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #conditions = new Conditions();
  #seen = 0;
  #over = false;

  constructor(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const { PATH = "", HOME = "" } = process.env;
    this.#child = Bun.spawn([...command], {
      env: { PATH, HOME, ...sanitizerOptions, ...env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const reading = Promise.all([this.#keep(), this.#child.stderr.text().then((text) => (this.stderr = text))]);
    this.exited = Promise.all([this.#child.exited, reading]).then(([status]) => status);
    void this.exited.then(() => {
      this.#over = true;
      this.#conditions.check();
    });
  }

  /** Obeys a command; settles with its answer. */
  async command(line: string): Promise<number> {
    await this.#child.stdin.write(`${line}\n`);
    await this.#child.stdin.flush();
    return this.answer();
  }

  /** The next answer. */
  async answer(): Promise<number> {
    return await this.#until(
      () => this.#answers.shift(),
      () => "an answer",
    );
  }

  /** The next event of this kind that was not given yet; those before it are passed over. */
  async next(kind: string, ms?: number): Promise<Line> {
    return await this.#until(
      () => {
        const at = this.events.findIndex(({ event }, i) => i >= this.#seen && event === kind);
        if (at === -1) return undefined;
        this.#seen = at + 1;
        return this.events[at];
      },
      () => `${kind}; since then ${JSON.stringify(this.events.slice(this.#seen))}`,
      ms,
    );
  }

  /** Settles once `holds`, looking after each line. */
  async untilHolds(holds: () => boolean, what: string, ms?: number): Promise<void> {
    await this.#until(
      () => holds() || undefined,
      () => what,
      ms,
    );
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends its input, after which it ends; the status. */
  async end(): Promise<number> {
    await this.#child.stdin.end();
    return within(this.exited, "the end of the program");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
    await this.exited;
  }

  async #until<T>(look: () => T | undefined, what: () => string, ms?: number): Promise<T> {
    const found = await this.#conditions.until(() => look() ?? (this.#over ? null : undefined), what, ms);
    if (found === null) throw new Error(`Ended without ${what()}: ${this.stderr}`);
    return found;
  }

  async #keep(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line) as Line);
      this.#conditions.check();
    }
  }

  #take(line: Line): void {
    if (line.answer === undefined) this.events.push(line);
    else this.#answers.push(line.answer);
  }
}
