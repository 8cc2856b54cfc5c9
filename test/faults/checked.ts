/** Runs the checker as a process of its own, with everything that it starts in one group, so that nothing of it is left. */
import { join } from "node:path";
import { root } from "../harness/source-tree.ts";

export interface Checked {
  readonly status: number;
  readonly output: string;
}

/** @param ms after which it is ended by force */
export async function checked(args: readonly string[], ms: number): Promise<Checked> {
  const child = Bun.spawn([process.execPath, join(root, "test/faults/main.ts"), ...args], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
  const late = setTimeout(() => process.kill(-child.pid, "SIGKILL"), ms);
  try {
    const [out, err, status] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { status, output: out + err };
  } finally {
    clearTimeout(late);
    if (child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  }
}

/** The number in front of some words of the report; NaN where there is none. */
export function figure(output: string, before: string, behind: string): number {
  return Number(new RegExp(`${before}(\\d+)${behind}`).exec(output)?.[1] ?? NaN);
}
