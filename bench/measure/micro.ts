/** Runs the benches of `bench/micro`, each in a process of its own. */
import { basename, join } from "node:path";

/** What they measured, by name. A bench that fails is named on stderr and left out. */
export async function measureMicro(root: string): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  const paths = [...new Bun.Glob("bench/micro/*.bench.ts").scanSync({ cwd: root })].sort();
  for (const path of paths) {
    console.error(`micro: ${basename(path, ".bench.ts")}`);
    const child = Bun.spawn([process.execPath, join(root, path), "--json"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
    if (code === 0) Object.assign(figures, JSON.parse(text));
    else console.error(`failed: ${path} ended with ${code}`);
  }
  return figures;
}
