/** The configuration file: read and parsed, its syntax errors made into problems with a line. */
import type { ProblemList } from "./problems.ts";

export type ReadFile = (path: string) => Promise<string>;

/** Longer files are refused: nobody writes them, and a mistyped path may name anything. */
const fileCharactersMax = 4 * 1024 * 1024;

/** The tables of the file, or null where it cannot be read or parsed. */
export async function readConfigFile(
  path: string,
  origin: string,
  readFile: ReadFile,
  problems: ProblemList,
): Promise<Readonly<Record<string, unknown>> | null> {
  let text: string;
  try {
    text = await readFile(path);
  } catch (error) {
    problems.add("config", origin, `cannot read ${JSON.stringify(path)}: ${readFailure(error)}`);
    return null;
  }
  if (text.length > fileCharactersMax) {
    problems.add("config", origin, `${JSON.stringify(path)} is too long for a configuration file`);
    return null;
  }
  try {
    return Bun.TOML.parse(text) as Record<string, unknown>;
  } catch (error) {
    problems.add("config", path, `not valid TOML, ${place(text)}: ${withoutValues(error)}`);
    return null;
  }
}

/** Why a file could not be read, in words. */
export function readFailure(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "no such file";
  if (code === "EACCES") return "permission denied";
  if (code === "EISDIR") return "it is a directory";
  return error instanceof Error ? error.message : String(error);
}

/** The parser quotes what it stumbles over, which may be a secret that lacks its quotes. */
function withoutValues(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^TOML Parse error: /, "").replace(/(:? *"|: ')[\s\S]*$/, "");
}

/**
 * Bun's parser does not say where it stopped: the error stands in the first line from which on no beginning of the
 * file parses (the line where an unclosed array or string begins).
 */
function place(text: string): string {
  const lines = text.split("\n");
  if (lines.length > 2000) return "somewhere";
  let count = lines.length;
  while (count > 1 && !parses(lines.slice(0, count - 1).join("\n"))) count--;
  return `line ${count}`;
}

function parses(text: string): boolean {
  try {
    Bun.TOML.parse(text);
    return true;
  } catch {
    return false;
  }
}
