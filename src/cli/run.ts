/** argv → a command, and whatever it throws → a message and an exit status. */
import { ConfigError, suggestion } from "../config/problems.ts";
import { quoted } from "../config/values.ts";
import { printable } from "../lib/printable.ts";
import { type Command, commandList } from "./commands.ts";
import { exitCodes, overview, UsageError } from "./help.ts";
import type { CliIo } from "./io.ts";

/** Runs the command that `argv` (without the program's own name) calls. Never rejects. */
export async function run(argv: readonly string[], io: CliIo, commands = commandList): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    io.err(overview(commands));
    return exitCodes.usage;
  }
  if (name === "help" || name === "--help" || name === "-h") return help(rest[0], io, commands);
  if (name === "--version" || name === "-V") return call("version", rest, io, commands);
  return call(name, rest, io, commands);
}

async function help(name: string | undefined, io: CliIo, commands: readonly Command[]): Promise<number> {
  if (name !== undefined) return call(name, ["--help"], io, commands);
  io.out(overview(commands));
  return exitCodes.ok;
}

async function call(name: string, argv: readonly string[], io: CliIo, commands: readonly Command[]): Promise<number> {
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const names = commands.map((candidate) => candidate.name);
    io.err(`tagcast: unknown command ${quoted(name)}${suggestion(name, names)}`);
    io.err("`tagcast --help` lists the commands.");
    return exitCodes.usage;
  }
  try {
    return await (await command.load()).run(argv, io);
  } catch (error) {
    return report(command.name, error, io);
  }
}

function report(name: string, error: unknown, io: CliIo): number {
  if (io.signal.aborted && (error === io.signal.reason || (error instanceof Error && error.name === "AbortError"))) {
    return exitCodes.interrupted;
  }
  if (error instanceof ConfigError) {
    io.err(`tagcast ${name}: ${error.message}`);
    return exitCodes.usage;
  }
  if (error instanceof UsageError) {
    // Quotes what was typed, which scripts may have from elsewhere.
    io.err(`tagcast ${name}: ${printable(error.message)}`);
    io.err(`\`tagcast ${name} --help\` tells its options.`);
    return exitCodes.usage;
  }
  // Not foreseen by the command: the stack is what a bug report needs.
  io.err(`tagcast ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return exitCodes.failed;
}
