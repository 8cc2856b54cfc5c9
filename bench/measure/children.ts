/** Ends what a run has started, also where the part that started it could not. */
import { processTree } from "./cpu.ts";

const graceMs = 2000;

/** Ends every process under this one: asks first, and after two seconds asks no more. */
export async function endChildren(): Promise<void> {
  const children = processTree(process.pid).slice(1);
  for (const child of children) send(child, "SIGTERM");
  const until = performance.now() + graceMs;
  while (performance.now() < until && children.some(alive)) await Bun.sleep(20);
  // What a child left behind has another parent by now: hence the list from before.
  for (const child of children) if (alive(child)) send(child, "SIGKILL");
}

function alive(pid: number): boolean {
  return send(pid, 0);
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
