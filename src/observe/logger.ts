/**
 * The logger: pino behind `core/logger.ts`, to standard error, one line an event. Standard output belongs to what
 * commands answer. Written in step with the caller, so nothing is lost when the process ends; no worker thread
 * (`pino.transport`), which a compiled executable cannot start.
 */
import pino from "pino";
import type { Logger } from "../core/logger.ts";
import { printable } from "../lib/printable.ts";
import { plainFields } from "./fields.ts";
import { type LogDestination, openPretty } from "./pretty.ts";

export interface LoggerOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  /** `auto`: pretty where standard error is a terminal, else JSON. */
  readonly format: "json" | "pretty" | "auto";
  /** Default: standard error. */
  readonly destination?: LogDestination;
}

/** Names that a line has of its own. */
const reserved = new Set(["level", "time", "message", "pid", "hostname", "name", "v"]);

/** A logger of lines `{level, time, message, …fields}`; errors stand under their field with name, message, stack and cause. */
export function createLogger({ level, format, destination }: LoggerOptions): Logger {
  const isTerminal = destination === undefined && process.stderr.isTTY;
  const pretty = format === "pretty" || (format === "auto" && isTerminal);
  const lines = destination ?? openStderr();
  const sink = pretty ? openPretty(lines, isTerminal && !process.env["NO_COLOR"]) : escaping(lines);
  const logger = pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  const at = (severity: "debug" | "info" | "warn" | "error"): Logger["info"] => {
    if (!logger.isLevelEnabled(severity)) return () => {};
    return (message, fields = {}) => logger[severity](plainFields(fields, reserved), message);
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/**
 * JSON leaves C1 controls and direction marks as they are. In a line of JSON they can only stand inside a string, where their
 * escape means the same, so a log that is looked at with `tail` is safe too.
 */
function escaping(lines: LogDestination): LogDestination {
  return { write: (line) => lines.write(`${printable(line.trimEnd())}\n`) };
}

function openStderr(): LogDestination {
  const stream = pino.destination({ dest: 2, sync: true });
  // Without a reader of standard error there is nobody left to tell; a server must not end for that.
  stream.on("error", () => {});
  return stream;
}
