/** Resident memory of a process and everything under it (Linux). */
import { readFileSync } from "node:fs";
import { processTree, unlessGone } from "./cpu.ts";

/** Sum of `VmRSS` in bytes; pages that processes of the tree share count for each of them. */
export function residentBytes(pid: number): number {
  let kibibytes = 0;
  for (const process of processTree(pid)) {
    const status = unlessGone(() => readFileSync(`/proc/${process}/status`, "latin1"), "");
    kibibytes += Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0);
  }
  return kibibytes * 1024;
}
