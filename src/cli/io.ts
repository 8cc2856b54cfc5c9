/** What a command sees of the process around it, so that tests run commands without one. */

export interface CliIo {
  /** Writes text and a newline to standard output: results. Once its reader is gone the text is dropped and `signal` is aborted. */
  out(text: string): void;
  /** Writes text and a newline to standard error: complaints and progress. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard input; reading begins when it is first asked for. */
  readonly stdin: ReadableStream<Uint8Array>;
  /** Aborted by the first SIGINT or SIGTERM, its reason the signal's name; a second one ends the process at once. */
  readonly signal: AbortSignal;
  /** Calls `run` at each SIGHUP; without it the signal ends the process. */
  onHangup(run: () => void): void;
}
