/** What is wrong with a configuration: gathered, so that all of it is told at once. */
import { nearest } from "../lib/nearest.ts";
import { printable } from "../lib/printable.ts";

export interface Problem {
  /** Key of the option, or the place in the file: `tags #2 history.ttl`. */
  readonly key: string;
  /** Where the value came from: a flag, a variable, or the path of the file. */
  readonly origin: string;
  /** What is expected and, unless secret, what was found. */
  readonly message: string;
}

/** A configuration that cannot be used. Commands answer it with exit status 2. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super([`${count} in the configuration:`, ...problems.map((problem) => `  ${formatProblem(problem)}`)].join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Where problems are gathered. */
export class ProblemList {
  readonly #problems: Problem[] = [];

  add(key: string, origin: string, message: string): void {
    this.#problems.push({ key, origin, message });
  }

  get count(): number {
    return this.#problems.length;
  }

  /** @throws ConfigError if there is any. */
  throwIfAny(): void {
    if (this.#problems.length > 0) throw new ConfigError([...this.#problems]);
  }
}

/** `port (--port): expected …`, on one line and safe for a terminal. */
export function formatProblem({ key, origin, message }: Problem): string {
  return printable(`${key === origin ? key : `${key} (${origin})`}: ${message}`);
}

/** `, did you mean "x"?` where one of `known` is near, else nothing. */
export function suggestion(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return near === null ? "" : `, did you mean ${JSON.stringify(near)}?`;
}
