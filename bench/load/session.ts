/** A driver process, as the bench sees it. */
import type { Answer, Command, Tally } from "./commands.ts";

const driverPath = new URL("driver.ts", import.meta.url).pathname;
/** Beyond the time that a command may take by itself. */
const answerMs = 120_000;

export type Done = Extract<Answer, { readonly ok: true }>;

export class DriverSession implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  #waiting: PromiseWithResolvers<Answer> | null = null;

  constructor() {
    this.#child = Bun.spawn([process.execPath, driverPath], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      serialization: "json",
      ipc: (answer: Answer) => this.#waiting?.resolve(answer),
      onExit: (_, status, signal) => {
        this.#waiting?.reject(new Error(`The driver ended (${signal ?? `status ${status}`})`));
      },
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** One at a time. @throws where it fails, is refused, or takes too long */
  async send(command: Command): Promise<Done> {
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting = waiting;
    const timer = setTimeout(
      () => waiting.reject(new Error(`No answer to '${command.do}'`)),
      answerMs + timeOf(command),
    );
    try {
      this.#child.send(command);
      const answer = await waiting.promise;
      if (!answer.ok) throw new Error(`The driver cannot ${command.do}: ${answer.error}`);
      return answer;
    } finally {
      clearTimeout(timer);
      this.#waiting = null;
    }
  }

  /** For commands that count. @throws as `send` does */
  async count(command: Command): Promise<Tally> {
    const { tally } = await this.send(command);
    if (tally === undefined) throw new Error(`'${command.do}' counts nothing`);
    return tally;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

function timeOf(command: Command): number {
  if (command.do === "run" || command.do === "churn") return command.seconds * 1000 + command.quietMs;
  return command.do === "reconnect" ? command.deadlineMs : 0;
}
