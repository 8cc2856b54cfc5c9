/** The control that every ratio of the report is relative to. */
import { join } from "node:path";
import type { Peer } from "./peer.ts";
import { benchFolder, launch, makeFolder } from "./processes.ts";

export const control: Peer = {
  name: "bun control",
  about: "A bare `Bun.serve` with native topics and none of the code of tagcast: one native publish per message.",
  protocol: "control",
  abilities: ["acknowledgements", "compression"],
  install: "part of Bun",
  version: () => Promise.resolve(Bun.version),
  async start({ compression = false }) {
    const program = join(benchFolder, "peers/servers/control.ts");
    const command = [process.execPath, program, ...(compression ? ["--compression"] : [])];
    return await launch({ command, folder: await makeFolder() });
  },
};
