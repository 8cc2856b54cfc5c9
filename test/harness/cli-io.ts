/** A `CliIo` that keeps what a command writes. */
import type { CliIo } from "../../src/cli/io.ts";

export interface RecordedIo extends CliIo {
  readonly outLines: string[];
  readonly errLines: string[];
}

export function recordedIo(env: CliIo["env"] = {}, signal: AbortSignal = new AbortController().signal): RecordedIo {
  const outLines: string[] = [];
  const errLines: string[] = [];
  return {
    outLines,
    errLines,
    out: (text) => void outLines.push(text),
    err: (text) => void errLines.push(text),
    env,
    stdin: new ReadableStream<Uint8Array>({ start: (controller) => controller.close() }),
    signal,
    onHangup: () => {},
  };
}
