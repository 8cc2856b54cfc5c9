/** A bound on the memory of a process: a control group where this machine lets us make one, else its peak is looked at. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Version {
  readonly root: string;
  readonly limit: string;
  readonly peak: string;
}

const versions: readonly Version[] = [
  {
    root: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
  },
  { root: "/sys/fs/cgroup", limit: "memory.max", peak: "memory.peak" },
];

/** The kernel ends what is in it beyond its bound. The processes in it are to have ended when it is disposed of. */
export class MemoryLimit implements Disposable {
  readonly #folder: string;
  readonly #version: Version;

  private constructor(folder: string, version: Version) {
    this.#folder = folder;
    this.#version = version;
  }

  /** Null where groups cannot be made. */
  static create(bytes: number): MemoryLimit | null {
    for (const version of versions) {
      const folder = join(version.root, `tagcast-test-${process.pid}-${crypto.randomUUID().slice(0, 8)}`);
      try {
        mkdirSync(folder);
      } catch {
        continue;
      }
      if (existsSync(join(folder, version.limit))) {
        writeFileSync(join(folder, version.limit), String(bytes));
        return new MemoryLimit(folder, version);
      }
      rmdirSync(folder);
    }
    return null;
  }

  /** The command line that runs another one within the bound. */
  wrap(command: readonly string[]): readonly string[] {
    return ["sh", "-c", `echo $$ > ${join(this.#folder, "cgroup.procs")} && exec "$@"`, "sh", ...command];
  }

  /** Bytes, with what of the program's file is in memory; null: this kernel does not tell. */
  peakBytes(): number | null {
    try {
      return Number(readFileSync(join(this.#folder, this.#version.peak), "utf8"));
    } catch {
      return null;
    }
  }

  [Symbol.dispose](): void {
    rmdirSync(this.#folder);
  }
}

/** The most that a process has held at one time, in bytes, as the kernel counts resident pages. */
export function peakResidentBytes(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}
