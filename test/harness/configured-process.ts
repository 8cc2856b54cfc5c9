/** A server process that is configured as `startServer` configures one in this process. */
import { join } from "node:path";
import { adminToken, scratchDirectory, type ServerOptions, type ServerProcess, startProcess } from "./server.ts";

/** Starts a server on a free port of loopback, with `adminToken`. */
export async function startConfigured({
  toml = "",
  flags = [],
}: Omit<ServerOptions, "clock"> = {}): Promise<ServerProcess> {
  // Read at the start alone.
  using scratch = scratchDirectory();
  const path = join(scratch.path, "tagcast.toml");
  await Bun.write(path, toml);
  return await startProcess({ args: ["--config", path, "--admin-token", adminToken, ...flags] });
}
