/** Metrics of what clients can make grow: each has a bound, which docs/security.md names. Part of the table of metrics. */
import type { Metric, Sample } from "./metric-table.ts";
import type { MetricSources, SpaceFigure } from "./metrics.ts";

export const memoryMetrics: readonly Metric[] = [
  {
    name: "tagcast_tags",
    type: "gauge",
    labels: ["application"],
    help: "Tags that are remembered, whether or not somebody is subscribed to them (tags-max).",
    read: ({ hub }) => figure(hub, "tags"),
  },
  {
    name: "tagcast_log_positions",
    type: "gauge",
    labels: ["application"],
    help: "Positions kept of logs whose tags are no longer remembered: at most 131,072.",
    read: ({ hub }) => figure(hub, "positions"),
  },
  {
    name: "tagcast_pattern_levels",
    type: "gauge",
    labels: ["application"],
    help: "Levels of all patterns with wildcards, what they begin with in common counted once (pattern-levels-max).",
    read: ({ hub }) => figure(hub, "patternLevels"),
  },
  {
    name: "tagcast_matches",
    type: "gauge",
    labels: ["application"],
    help: "Patterns remembered for tags that several match (matches-max).",
    read: ({ hub }) => figure(hub, "matches"),
  },
  {
    name: "tagcast_tail_bytes",
    type: "gauge",
    labels: ["application"],
    help: "Bytes of the newest messages of logs, kept for subscribers that lag behind: at most 64 MiB.",
    read: ({ hub }) => figure(hub, "tailBytes"),
  },
  {
    name: "tagcast_publish_places",
    type: "gauge",
    labels: [],
    help: "Places in which connections remember tags that they publish to, beyond eight each: at most 262,144.",
    read: ({ registry }) => registry.targetPlaces.used,
  },
  {
    name: "tagcast_pending_requests",
    type: "gauge",
    labels: [],
    help: "Requests that the broker has not answered (requests-max for each connection).",
    read: ({ registry }) => registry.pendingRequests,
  },
  {
    name: "tagcast_held_bytes",
    type: "gauge",
    labels: [],
    help: "Bytes that came from connections that are not read from now, and wait (held-max for each).",
    read: ({ registry }) => registry.heldBytes,
  },
  {
    name: "tagcast_unread_bytes",
    type: "gauge",
    labels: [],
    help: "Bytes kept for clients that have not read them, as of the last second (unread-max).",
    read: ({ registry }) => registry.unread.bytes,
  },
  {
    name: "tagcast_unread_disconnects_total",
    type: "counter",
    labels: [],
    help: "Connections ended because more than unread-max was kept for all.",
    read: ({ registry }) => registry.unread.ended,
  },
  {
    name: "tagcast_publishers_held_back_total",
    type: "counter",
    labels: [],
    help: "How often a connection was not read from, since more was published than could be sent.",
    read: ({ hub }) => hub.heldBack,
  },
  {
    name: "tagcast_dropped_frames_total",
    type: "counter",
    labels: [],
    help: "Frames dropped because backlog-max bytes waited, told by a gap.",
    read: ({ hub }) => hub.distributor.counts.droppedFrames,
  },
  {
    name: "tagcast_body_bytes",
    type: "gauge",
    labels: [],
    help: "Bytes of request bodies that are being received (bodies-max).",
    read: ({ bodies }) => bodies.bytes,
  },
  {
    name: "tagcast_bodies_refused_total",
    type: "counter",
    labels: ["reason"],
    help: "Request bodies refused while they came: late (body-deadline), large, full (bodies-max), encoded (Content-Encoding).",
    read: ({ bodies }) => Object.entries(bodies.refused).map(([reason, count]) => [[reason], count]),
  },
  {
    name: "tagcast_frames_refused_total",
    type: "counter",
    labels: ["reason"],
    help: "Connections ended for one frame: too-large (twice payload-max and 64 KiB, inflated), not-utf8, or malformed as WebSocket goes.",
    read: ({ registry }) => Object.entries(registry.refusedFrames).map(([reason, count]) => [[reason], count]),
  },
  {
    name: "tagcast_cached_jwts",
    type: "gauge",
    labels: [],
    help: "JWTs whose signatures are known to be good: at most 10,000.",
    read: ({ authenticator }) => authenticator.cachedJwts,
  },
];

/** One number of each application. */
function figure(hub: MetricSources["hub"], name: SpaceFigure): Sample[] {
  return [...hub.figures()].map(([app, figures]) => [[app], figures[name]]);
}
