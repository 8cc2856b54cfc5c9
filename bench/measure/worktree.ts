/** Another version of this repository, checked out beside it for as long as it is measured. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Worktree extends AsyncDisposable {
  readonly path: string;
  /** Short hash. */
  readonly commit: string;
}

/** Checks out `ref` of the repository at `root` in a temporary folder and installs its dependencies there. */
export async function openWorktree(root: string, ref: string): Promise<Worktree> {
  const commit = await run(["git", "-C", root, "rev-parse", "--short", "--verify", `${ref}^{commit}`], root);
  const path = await mkdtemp(join(tmpdir(), "tagcast-bench-"));
  const remove = async () => {
    await run(["git", "-C", root, "worktree", "remove", "--force", path], root);
    await rm(path, { recursive: true, force: true });
  };
  try {
    await run(["git", "-C", root, "worktree", "add", "--detach", path, commit], root);
    await run([process.execPath, "install", "--frozen-lockfile", "--production", "--no-summary"], path);
  } catch (error) {
    await remove().catch(() => {});
    throw error;
  }
  return { path, commit, [Symbol.asyncDispose]: remove };
}

/** Trimmed standard output. @throws with what the command said where it fails */
async function run(command: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...command], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (child.exitCode !== 0) throw new Error(`${command.join(" ")}: ${err.trim() || out.trim() || child.exitCode}`);
  return out.trim();
}
