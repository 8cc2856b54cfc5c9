/** The WebSocket library that most of Node stands on. */
import { launchOnNode, packageVersion } from "./node.ts";
import type { Peer } from "./peer.ts";
import { makeFolder, setupCommand } from "./processes.ts";

export const ws: Peer = {
  name: "ws",
  about: "`ws` on Node with bufferutil: a set of sockets per tag, one `send` of the same buffer per subscriber.",
  protocol: "control",
  abilities: ["acknowledgements", "compression"],
  install: setupCommand,
  version: () => packageVersion("ws"),
  async start({ compression = false }) {
    return await launchOnNode(await makeFolder(), "ws-server.mjs", compression ? ["--compression"] : []);
  },
};
