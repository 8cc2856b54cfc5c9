/** The example programs as child processes, as their users run them: with a terminal's lines in and out. */
import { join } from "node:path";
import { Conditions, within } from "./deadline.ts";
import { root } from "./source-tree.ts";

export class Example implements AsyncDisposable {
  stdout = "";
  stderr = "";
  readonly exited: Promise<number>;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #conditions = new Conditions();
  #over = false;

  /** `file` stands in examples/; `env` goes beside PATH and HOME. */
  constructor(file: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    const { PATH = "", HOME = "" } = process.env;
    this.#child = Bun.spawn([process.execPath, join(root, "examples", file), ...args], {
      env: { PATH, HOME, ...env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const out = this.#keep(this.#child.stdout, (text) => (this.stdout += text));
    const err = this.#keep(this.#child.stderr, (text) => (this.stderr += text));
    this.exited = Promise.all([this.#child.exited, out, err]).then(([code]) => code);
    void this.exited.then(() => {
      this.#over = true;
      this.#conditions.check();
    });
  }

  /** Types a line. */
  async type(line: string): Promise<void> {
    await this.#child.stdin.write(`${line}\n`);
    await this.#child.stdin.flush();
  }

  /** Waits for `pattern` in what it writes. */
  async until(pattern: RegExp, stream: "stdout" | "stderr" = "stdout"): Promise<RegExpExecArray> {
    const found = await this.#conditions.until(
      () => pattern.exec(this[stream]) ?? (this.#over ? null : undefined),
      () => `${pattern} on ${stream}; ${this.#told()}`,
    );
    if (found === null) throw new Error(`Ended without ${pattern} on ${stream}: ${this.#told()}`);
    return found;
  }

  /** The exit status, all output kept; waits for it. */
  end(): Promise<number> {
    return within(this.exited, () => `the end of the process; ${this.#told()}`);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
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
