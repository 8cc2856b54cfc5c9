/** An MQTT broker on Node. */
import { launchOnNode, packageVersion } from "./node.ts";
import type { Peer } from "./peer.ts";
import { makeFolder, setupCommand } from "./processes.ts";

export const aedes: Peer = {
  name: "aedes",
  about:
    "aedes on Node, over WebSocket by `ws` as its documentation sets it up; all in memory. MQTT 3.1.1, QoS 0 deliveries.",
  protocol: "mqtt-websocket",
  abilities: ["wildcards", "acknowledgements"],
  install: setupCommand,
  version: () => packageVersion("aedes"),
  async start() {
    return await launchOnNode(await makeFolder(), "aedes-server.mjs", []);
  },
};
