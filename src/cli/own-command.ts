/** How this program can be called again from another terminal. */
import { relative } from "node:path";

/** A command to copy: the executable itself where it is compiled, else Bun and the path of the entry file. */
export function ownCommand(execPath: string = process.execPath, main: string = Bun.main): string {
  if (main.startsWith("/$bunfs/")) return execPath;
  const bun = execPath.includes("/_npx/") ? `npx -y bun@${Bun.version}` : "bun";
  const path = relative(process.cwd(), main);
  return `${bun} ${path.startsWith("..") ? main : path}`;
}
