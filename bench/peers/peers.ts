/** Every peer, in the order of the report. */
import { aedes } from "./aedes.ts";
import { tagcastCluster, tagcastProcesses, tagcastRedis } from "./cluster.ts";
import { control } from "./control.ts";
import { mosquitto, mosquittoDurable, mosquittoTcp } from "./mosquitto.ts";
import { nats } from "./nats.ts";
import type { Peer } from "./peer.ts";
import { socketIo, socketIoRedis } from "./socketio.ts";
import { tagcast, tagcastStore, tagcastStoreNormal } from "./tagcast.ts";
import { ws } from "./ws.ts";

export const peers: readonly Peer[] = [
  tagcast,
  tagcastRedis,
  tagcastCluster,
  tagcastProcesses,
  tagcastStore,
  tagcastStoreNormal,
  control,
  nats,
  mosquitto,
  mosquittoTcp,
  mosquittoDurable,
  ws,
  socketIo,
  socketIoRedis,
  aedes,
];
