/** NATS over WebSocket: core publish and subscribe, no JetStream. */
import { join } from "node:path";
import type { Peer } from "./peer.ts";
import { findProgram, launch, makeFolder, programVersion, setupCommand, sparePort } from "./processes.ts";

const program = "nats-server";

export const nats: Peer = {
  name: "nats",
  about:
    "NATS (core, no JetStream) over WebSocket without TLS, with its default limits of what a connection may lag behind.",
  protocol: "nats-websocket",
  abilities: ["wildcards", "acknowledgements", "compression"],
  install: setupCommand,
  version: () => Promise.resolve(programVersion(program, "--version", /v([\d.]+)/)),
  async start({ compression = false }) {
    const folder = await makeFolder();
    const file = join(folder, "nats.conf");
    const port = sparePort();
    // It listens for its own transport too, wherever there is room.
    await Bun.write(
      file,
      `listen: "127.0.0.1:-1"
websocket { listen: "127.0.0.1:${port}", no_tls: true, compression: ${compression} }
`,
    );
    return await launch({ command: [findProgram(program) ?? program, "--config", file], folder, port });
  },
};
