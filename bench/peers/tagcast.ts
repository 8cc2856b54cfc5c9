/** tagcast itself, of this checkout or another. */
import { join } from "node:path";
import { adminToken } from "../load/protocols/tagcast-state.ts";
import type { Peer, PeerOptions, RunningPeer } from "./peer.ts";
import { checkoutFolder, launch, makeFolder } from "./processes.ts";

/** Tags under `log/` keep a log that is as long as any run needs; all others are live only. */
const config = `
[[tags]]
pattern = "log/#"
history = { size = 100000 }
`;

export const tagcast: Peer = {
  name: "tagcast",
  about: "One process with the default limits; tags under `log/` keep 100,000 messages, others are live only.",
  protocol: "tagcast",
  abilities: ["wildcards", "log", "acknowledgements", "json", "authentication", "compression"],
  install: "bun install",
  version: async () => {
    const manifest: unknown = await Bun.file(join(checkoutFolder, "package.json")).json();
    return (manifest as { readonly version: string }).version;
  },
  start: async (options) => await startTagcast(options, []),
};

export const tagcastStore: Peer = {
  ...tagcast,
  name: "tagcast store",
  about: "The same with `--store`, on the disk of the machine: acknowledged and delivered once it is on disk.",
  start: async (options) => await startTagcast(options, [], store("full")),
};

export const tagcastStoreNormal: Peer = {
  ...tagcast,
  name: "tagcast store normal",
  about: "The same with `--store` and `--durability normal`: acknowledged once the system has it.",
  start: async (options) => await startTagcast(options, [], store("normal")),
};

/** Settings of the configuration file; the path is relative to it, in a folder that is removed. */
function store(durability: string): string {
  return `store = "store.db"\ndurability = "${durability}"\n`;
}

/** One process. `more`: of its command line; without a port there it takes any. `given`: of its configuration file. */
export async function startTagcast(
  { checkout = checkoutFolder, compression = false }: PeerOptions,
  more: readonly string[],
  given = "",
): Promise<RunningPeer> {
  const folder = await makeFolder();
  const configFile = join(folder, "tagcast.toml");
  await Bun.write(configFile, `${given}${config}`);
  const settings = ["--config", configFile, "--admin-token", adminToken, "--log-level", "warn", ...more];
  if (!more.includes("--port")) settings.push("--port", "0");
  if (compression) settings.push("--compression");
  // Settings of whoever runs the bench would count too.
  const none = Object.keys(process.env)
    .filter((name) => name.startsWith("TAGCAST_"))
    .map((name) => [name, undefined]);
  return await launch({
    command: [process.execPath, "src/main.ts", "serve", ...settings],
    cwd: checkout,
    env: Object.fromEntries(none) as Record<string, undefined>,
    folder,
  });
}
