/** Peers that are packages of npm and run on Node: installed in `bench/peers`, apart from what tagcast depends on. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunningPeer } from "./peer.ts";
import { checkoutFolder, launch } from "./processes.ts";

/** A development dependency of the project, so that every machine measures the same version. */
export const nodePath = join(checkoutFolder, "node_modules/node/bin/node");

/** As it is installed; null where it, or Node, is not. */
export async function packageVersion(name: string): Promise<string | null> {
  const manifest = Bun.file(join(import.meta.dir, "node_modules", name, "package.json"));
  if (!existsSync(nodePath) || !(await manifest.exists())) return null;
  return ((await manifest.json()) as { readonly version: string }).version;
}

/** Starts a program of `servers/`. */
export async function launchOnNode(folder: string, program: string, args: readonly string[]): Promise<RunningPeer> {
  const command = [nodePath, join(import.meta.dir, "servers", program), ...args];
  return await launch({ command, folder, env: { NODE_ENV: "production" } });
}
