/** Metrics of the bridge to Redis, which only instances of a cluster have. A table as in `metric-table.ts`, and in its document. */
import type { Metric } from "./metric-table.ts";

/** What the broker says of its connection. */
export type BridgeNumbers = Readonly<
  Record<
    | "lagMs"
    | "pendingBytes"
    | "reconnects"
    | "refused"
    | "unrelayed"
    | "relayed"
    | "calls"
    | "channels"
    | "packets"
    | "packetBytes"
    | "unknown",
    number
  >
> & { readonly connected: boolean };

type Column = readonly [name: string, type: Metric["type"], help: string, read: (bridge: BridgeNumbers) => number];

const columns: readonly Column[] = [
  ["connected", "gauge", "Whether Redis can be worked with: 1 or 0.", ({ connected }) => Number(connected)],
  [
    "lag_seconds",
    "gauge",
    "How long the last heartbeat took, from this instance through Redis and back.",
    ({ lagMs }) => lagMs / 1000,
  ],
  ["pending_bytes", "gauge", "Bytes sent to Redis that it has not answered yet.", ({ pendingBytes }) => pendingBytes],
  ["reconnects_total", "counter", "How often Redis was away and is back.", ({ reconnects }) => reconnects],
  [
    "refused_messages_total",
    "counter",
    "Messages to tags with a log that were refused because Redis was away, or refused them.",
    ({ refused }) => refused,
  ],
  [
    "dropped_messages_total",
    "counter",
    "Messages without a log that other instances did not get because Redis was away. Subscribers are told by a gap.",
    ({ unrelayed }) => unrelayed,
  ],
  ["relayed_messages_total", "counter", "Messages without a log handed to other instances.", ({ relayed }) => relayed],
  ["calls_total", "counter", "Calls of scripts in Redis.", ({ calls }) => calls],
  ["channels", "gauge", "Channels that this instance listens on.", ({ channels }) => channels],
  ["received_packets_total", "counter", "Announcements that came by them.", ({ packets }) => packets],
  ["received_bytes_total", "counter", "Bytes of those.", ({ packetBytes }) => packetBytes],
  [
    "unknown_packets_total",
    "counter",
    "Announcements, or parts of them, of a version that this instance does not know.",
    ({ unknown }) => unknown,
  ],
];

export const bridgeMetrics: readonly Metric[] = columns.map(([name, type, help, read]) => ({
  name: `tagcast_redis_${name}`,
  type,
  labels: [],
  help,
  read: ({ bridge }) => (bridge === null ? [] : read(bridge())),
}));
