/** Log lines for people. Text in fields comes from outside: none of it reaches the terminal with a control character in it. */
import { prettyFactory } from "pino-pretty";
import { printable } from "../lib/printable.ts";

export interface LogDestination {
  /** Takes one line with its newline. */
  write(line: string): void;
}

/** A destination that rewrites pino's JSON lines: `time LEVEL: message {fields}`, then the frames of errors, indented. */
export function openPretty(destination: LogDestination, colorize: boolean): LogDestination {
  const render = prettyFactory({
    colorize,
    messageKey: "message",
    singleLine: true,
    errorLikeObjectKeys: [],
    translateTime: "SYS:HH:MM:ss.l",
  });
  return {
    write(line) {
      const frames: string[] = [];
      const log = escaped(JSON.parse(line), frames) as object;
      destination.write(render(log) + frames.map((frame) => `      ${frame}\n`).join(""));
    },
  };
}

/** A copy whose texts are safe to show; stacks are taken out and their frames gathered. */
function escaped(value: unknown, frames: string[]): unknown {
  if (typeof value === "string") return printable(value);
  if (Array.isArray(value)) return value.map((item) => escaped(item, frames));
  if (typeof value !== "object" || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    if (key === "stack" && typeof item === "string") frames.push(...framesOf(item));
    else copy[printable(key)] = escaped(item, frames);
  }
  return copy;
}

function framesOf(stack: string): string[] {
  return stack.split("\n").map((line) => printable(line.trim()));
}
