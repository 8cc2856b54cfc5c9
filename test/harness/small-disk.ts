/**
 * Disks that a test fills, and makes so that they cannot be written, under a server of its own: a small file system in memory where
 * mounting is permitted, and everywhere a bound on the size of the server's files, which the system enforces in the same place.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { memoryDirectory } from "./sqlite-broker.ts";

export interface SmallDisk {
  readonly kind: string;
  /** Starts the server on it, with files that are there from the start. `state` is how the disk is then. */
  wrapper(directory: string, state: "free" | "full" | "readOnly"): (command: readonly string[]) => readonly string[];
  /** Leaves no room. */
  fill(directory: string, pid: number): void;
  /** Makes room, and lets the disk be written. */
  free(directory: string, pid: number): void;
}

const ballast = "ballast";

function run(command: readonly string[]): void {
  const { success, stderr } = Bun.spawnSync([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  if (!success) throw new Error(`${command.join(" ")}: ${stderr}`);
}

/** Files of the server may not be larger. */
const limit: SmallDisk = {
  kind: "a bound on the size of files",
  wrapper: (_, state) => (command) => (state === "free" ? command : ["prlimit", "--fsize=0:unlimited", ...command]),
  fill: (_, pid) => run(["prlimit", `--pid=${pid}`, "--fsize=65536:"]),
  free: (_, pid) => run(["prlimit", `--pid=${pid}`, "--fsize=unlimited:"]),
};

/** In a mount name space of the server's own, which ends with it. */
function tmpfs(unshare: readonly string[]): SmallDisk {
  const states = {
    free: "true",
    full: `{ head -c 64M /dev/zero > "$0/${ballast}" 2>/dev/null || true; }`,
    readOnly: 'mount -o remount,ro "$0"',
  };
  const within = (directory: string, pid: number) => join(`/proc/${pid}/root`, directory, ballast);
  return {
    kind: "a small file system",
    wrapper: (directory, state) => (command) => {
      const copied =
        'cp -a "$0/." "$0.files" && mount -t tmpfs -o size=4m,mode=700 tmpfs "$0" && cp -a "$0.files/." "$0"';
      return [...unshare, "sh", "-c", `${copied} && ${states[state]} && exec "$@"`, directory, ...command];
    },
    fill(directory, pid) {
      try {
        writeFileSync(within(directory, pid), new Uint8Array(64 * 1024 ** 2));
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
      }
    },
    free(directory, pid) {
      run([
        "nsenter",
        `--target=${pid}`,
        "--mount",
        ...(unshare.includes("-rm") ? ["--user"] : []),
        "mount",
        "-o",
        "remount,rw",
        directory,
      ]);
      rmSync(within(directory, pid), { force: true });
    },
  };
}

/** Those that can be had here. */
export function smallDisks(): readonly SmallDisk[] {
  for (const flags of ["-m", "-rm"]) {
    const place = join(memoryDirectory, `tagcast-mount-${process.pid}`);
    mkdirSync(place, { recursive: true });
    const probe = ["unshare", flags, "sh", "-c", 'mount -t tmpfs tmpfs "$0" && mount -o remount,ro "$0"', place];
    const { success } = Bun.spawnSync(probe, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
    rmSync(place, { recursive: true, force: true });
    if (success) return [limit, tmpfs(["unshare", flags])];
  }
  return [limit];
}
