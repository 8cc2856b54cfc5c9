/** On what, with what and of which commit a run was made. */
import { cpus, release, totalmem } from "node:os";
import { nodePath } from "../peers/node.ts";
import type { Machine } from "../results.ts";

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    kernel: release(),
    bun: Bun.version,
    node: output([nodePath, "--version"])?.replace(/^v/, "") ?? null,
  };
}

/** Short hash of the commit that is checked out in `folder`, with `+` where files that git knows were changed. */
export function commitOf(folder: string): string {
  const hash = output(["git", "-C", folder, "rev-parse", "--short", "HEAD"]);
  const changes = output(["git", "-C", folder, "status", "--porcelain", "--untracked-files=no"]);
  return hash === null ? "unknown" : `${hash}${changes === "" ? "" : "+"}`;
}

/** Trimmed standard output; null where the command fails. */
function output(command: readonly string[]): string | null {
  const [program = ""] = command;
  if (Bun.which(program) === null) return null;
  const child = Bun.spawnSync([...command], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  return child.success ? child.stdout.toString().trim() : null;
}
