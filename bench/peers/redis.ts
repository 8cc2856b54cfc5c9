/** The Redis that joins instances: one server of its own for each sample, nothing on disk. */
import type { RunningPeer } from "./peer.ts";
import { findProgram, launch, makeFolder, programVersion, sparePort } from "./processes.ts";

const program = "redis-server";

/** Null where it is not installed. */
export function redisVersion(): string | null {
  return programVersion(program, "--version", /v=([\d.]+)/);
}

/** As docs/deploy.md says, but without persistence and bound of memory. */
export async function startRedis(): Promise<RunningPeer> {
  const folder = await makeFolder();
  const port = sparePort();
  const settings = {
    "--port": `${port}`,
    "--bind": "127.0.0.1",
    "--dir": folder,
    "--save": "",
    "--appendonly": "no",
    "--client-output-buffer-limit": "pubsub 256mb 64mb 60",
  };
  return await launch({ command: [findProgram(program) ?? program, ...Object.entries(settings).flat()], folder, port });
}
