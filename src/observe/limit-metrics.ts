/** The metrics of what bounds clients: who is refused before anything is done for them, and who sends faster than allowed. */
import type { Metric } from "./metric-table.ts";

export const limitMetrics: readonly Metric[] = [
  {
    name: "tagcast_refused_total",
    type: "counter",
    labels: ["reason"],
    help: "Connections and requests refused before anything was done for them: no room (full, addresses), connections opened too fast (accept-rate), or too much from one address (address-connections, address-accept-rate, address-request-rate).",
    read: ({ admission }) => Object.entries(admission.counts).map(([reason, count]) => [[reason], count]),
  },
  {
    name: "tagcast_addresses",
    type: "gauge",
    labels: [],
    help: "Addresses whose connections and requests are counted now, at most addresses-max.",
    read: ({ admission }) => admission.addresses,
  },
  {
    name: "tagcast_slowed_total",
    type: "counter",
    labels: ["reason"],
    help: "How often reading from a connection stopped because it, or its credential, sent faster than allowed, by what there was too much of. Those that went on are told (tagcast_flood_notices_total), then ended (tagcast_connections_ended_total, flooding).",
    read: ({ registry }) => Object.entries(registry.rates.slowedCounts).map(([kind, count]) => [[kind], count]),
  },
  {
    name: "tagcast_flood_notices_total",
    type: "counter",
    labels: [],
    help: "Seconds in which a connection was told that it floods (code 123).",
    read: ({ registry }) => registry.rates.told,
  },
  {
    name: "tagcast_rate_refused_total",
    type: "counter",
    labels: ["reason"],
    help: "HTTP requests, event streams and connections refused because their credential was used faster than allowed, by what there was too much of.",
    read: ({ registry }) => Object.entries(registry.rates.refusedCounts).map(([kind, count]) => [[kind], count]),
  },
  {
    name: "tagcast_limited_credentials",
    type: "gauge",
    labels: [],
    help: "Credentials whose rates are counted now. Each is in use, or was a few seconds ago.",
    read: ({ registry }) => registry.rates.credentials,
  },
];
