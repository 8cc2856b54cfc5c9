/** The protocols that the driver speaks, by name. */
import type { ProtocolKind } from "./protocol.ts";
import { control } from "./protocols/control.ts";
import { mqttTcp, mqttTcpRetained, mqttWebSocket } from "./protocols/mqtt.ts";
import { natsWebSocket } from "./protocols/nats.ts";
import { socketIo } from "./protocols/socketio.ts";
import { tagcastJson } from "./protocols/tagcast-json.ts";
import { tagcast } from "./protocols/tagcast.ts";

const protocols: readonly ProtocolKind[] = [
  tagcast,
  tagcastJson,
  control,
  mqttWebSocket,
  mqttTcp,
  mqttTcpRetained,
  natsWebSocket,
  socketIo,
];

/** @throws where there is none of that name */
export function protocolKind(name: string): ProtocolKind {
  const kind = protocols.find((one) => one.name === name);
  if (kind === undefined) throw new Error(`No protocol is called '${name}'`);
  return kind;
}
