/** Metrics of the defences against strangers: rows of `metric-table.ts`. */
import type { Metric } from "./metric-table.ts";

export const defenceMetrics: readonly Metric[] = [
  {
    name: "tagcast_authentication_failures_total",
    type: "counter",
    labels: [],
    help: "Credentials that were not accepted, by whatever way they came.",
    read: ({ registry }) => registry.credentials.counts.failures,
  },
  {
    name: "tagcast_authentication_throttled_total",
    type: "counter",
    labels: [],
    help: "Credentials that were not looked at, since too many of their address were not valid.",
    read: ({ registry }) => registry.credentials.counts.throttled,
  },
  {
    name: "tagcast_guessing_addresses",
    type: "gauge",
    labels: [],
    help: "Addresses with credentials of the last minute that were not valid, at most addresses-max: beyond it those that failed longest ago are forgotten.",
    read: ({ registry }) => registry.credentials.guessing,
  },
  {
    name: "tagcast_origins_refused_total",
    type: "counter",
    labels: [],
    help: "Upgrades of pages of origins that are not allowed, and cookies that did not count for that reason.",
    read: ({ doorway }) => doorway.origins.counts.refused,
  },
  {
    name: "tagcast_audit_entries_total",
    type: "counter",
    labels: [],
    help: "Entries of the audit log, written or not.",
    read: ({ audit }) => audit.counts.entries,
  },
  {
    name: "tagcast_audit_failures_total",
    type: "counter",
    labels: [],
    help: "Entries of the audit log that could not be written to its file and are in the log instead, and failures to open the file anew.",
    read: ({ audit }) => audit.counts.failures,
  },
];
