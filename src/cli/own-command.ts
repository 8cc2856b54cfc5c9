/** How this program can be called again from another terminal, in another directory. */
import { resolve } from "node:path";

/** A command to copy into a shell: the executable itself where it is compiled, else Bun and the path of the entry file. */
export function ownCommand(execPath: string = process.execPath, main: string = Bun.main): string {
  return main.startsWith("/$bunfs/") ? shellWord(execPath) : `${bunCommand(execPath)} ${shellWord(resolve(main))}`;
}

function bunCommand(execPath: string): string {
  if (execPath.includes("/_npx/")) return `npx -y bun@${Bun.version}`;
  return Bun.which("bun") === null ? shellWord(execPath) : "bun";
}

/** As one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
