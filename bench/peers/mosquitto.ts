/** The MQTT broker that most machines of the field run, over both of its transports. */
import { join } from "node:path";
import type { Peer } from "./peer.ts";
import { findProgram, launch, makeFolder, programVersion, setupCommand, sparePort } from "./processes.ts";

const program = "mosquitto";
/** Without the bounds beyond which it drops what a subscriber does not take fast enough; 0 and −1 are none. */
const settings = `
allow_anonymous true
set_tcp_nodelay true
max_connections -1
max_inflight_messages 0
max_inflight_bytes 0
max_queued_messages 0
max_queued_bytes 0
sys_interval 0
connection_messages false
log_dest stderr
log_type error
log_type warning
`;

export const mosquitto = peer({
  name: "mosquitto",
  about:
    "Mosquitto over WebSocket, in memory, no bounds on queues, no delay of TCP. MQTT 3.1.1, QoS 0 deliveries. Version 2.0.11 takes in " +
    "a frame beyond 4 KiB, and new connections, in steps that wait for its loop of 100 ms.",
  protocol: "mqtt-websocket",
});

export const mosquittoTcp = peer({
  name: "mosquitto-tcp",
  about: "The same over plain TCP.",
  protocol: "mqtt-tcp",
});

export const mosquittoDurable = peer({
  name: "mosquitto durable",
  about:
    "The same over TCP with `persistence true`, `autosave_on_changes true` and `autosave_interval 1`, publishes retained: the nearest it has to " +
    "a message that is on disk. It saves all it knows after each round of its loop that changed something, and acknowledges before it does.",
  protocol: "mqtt-tcp-retained",
  isDurable: true,
});

interface Kind extends Pick<Peer, "name" | "about"> {
  readonly protocol: "mqtt-websocket" | "mqtt-tcp" | "mqtt-tcp-retained";
  readonly isDurable?: boolean;
}

function peer({ isDurable = false, ...its }: Kind): Peer {
  return {
    ...its,
    abilities: ["wildcards", "acknowledgements"],
    install: setupCommand,
    version: () => Promise.resolve(programVersion(program, "-h", /mosquitto version ([\d.]+)/)),
    async start() {
      const folder = await makeFolder();
      const file = join(folder, "mosquitto.conf");
      const tcp = sparePort();
      const webSocket = sparePort();
      // Started by root it becomes another user, who may not write to the folder.
      const keeping = isDurable
        ? `${process.getuid?.() === 0 ? "user root\n" : ""}persistence true\npersistence_location ${folder}/\nautosave_on_changes true\nautosave_interval 1\n`
        : "persistence false\n";
      await Bun.write(file, `${listener(tcp, "mqtt")}${listener(webSocket, "websockets")}${settings}${keeping}`);
      const port = its.protocol === "mqtt-websocket" ? webSocket : tcp;
      return await launch({ command: [findProgram(program) ?? program, "-c", file], folder, port });
    },
  };
}

/**
 * Both are always there: Mosquitto 2.0.11 ends where WebSocket is all that it listens for. Unless it is told to use IPv4 it
 * binds WebSocket to every address of the machine.
 */
function listener(port: number, protocol: "mqtt" | "websockets"): string {
  return `listener ${port} 127.0.0.1\nsocket_domain ipv4\nprotocol ${protocol}\n`;
}
