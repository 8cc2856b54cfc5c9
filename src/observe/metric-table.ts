/**
 * The one table of metrics: name, type, labels, meaning, and where the value comes from. `docs/metrics.md` is generated
 * from it. Values of labels are from fixed sets and from the configuration; never tags, clients or subjects.
 */
import { disconnects, errors, gaps, type Code } from "../core/codes.ts";
import { defenceMetrics } from "./defence-metrics.ts";
import { memoryMetrics } from "./memory-metrics.ts";
import type { Flow } from "./traffic.ts";
import type { MetricSources } from "./metrics.ts";

/** Values of the labels, in their order, and the number. */
export type Sample = readonly [labels: readonly string[], value: number];

export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly labels: readonly string[];
  /** One or two sentences. */
  readonly help: string;
  readonly read: (sources: MetricSources) => number | Iterable<Sample>;
}

/** A histogram. */
export const latencyMetric = {
  name: "tagcast_fanout_latency_seconds",
  help: "From the first thing that a turn of the event loop had to do until its topics were handed to the runtime, once per topic and turn: no less than what each message took from its arrival.",
} as const;

/** Gauge by quantile; 1 is the longest. Since the last time that metrics were read. */
export const delayMetric = {
  name: "tagcast_event_loop_delay_seconds",
  quantiles: [0.5, 0.9, 0.99, 1],
  help: "How late the event loop was, since the last time that metrics were read; quantile 1 is the longest delay.",
} as const;

export const metricTable: readonly Metric[] = [
  {
    name: "tagcast_build_info",
    type: "gauge",
    labels: ["version", "bun"],
    help: "Always 1; the labels say what runs.",
    read: ({ version }) => [[[version, Bun.version], 1]],
  },
  {
    name: "tagcast_connections",
    type: "gauge",
    labels: ["application", "transport", "lane"],
    help: "Connections that are authenticated.",
    read: ({ registry }) => connections(registry),
  },
  {
    name: "tagcast_connections_opened_total",
    type: "counter",
    labels: [],
    help: "Connections accepted, authenticated or not.",
    read: ({ registry }) => registry.counts.opened,
  },
  {
    name: "tagcast_connections_ended_total",
    type: "counter",
    labels: ["reason"],
    help: "Connections that the server ended, by the name of the code (docs/codes.md, 3000–3999).",
    read: ({ registry }) => byName(disconnects, registry.endCounts),
  },
  ...defenceMetrics,
  {
    name: "tagcast_errors_total",
    type: "counter",
    labels: ["error"],
    help: "Requests refused, by the name of the code (docs/codes.md, 100–199).",
    read: ({ registry }) => byName(errors, registry.errorCounts),
  },
  {
    name: "tagcast_subscriptions",
    type: "gauge",
    labels: [],
    help: "Subscriptions of all connections.",
    read: ({ hub }) => hub.subscriptions.count,
  },
  {
    name: "tagcast_topics",
    type: "gauge",
    labels: ["application"],
    help: "Patterns that somebody is subscribed to.",
    read: ({ hub }) => [...hub.topicCounts()].map(([app, topics]) => [[app], topics]),
  },
  {
    name: "tagcast_received_messages_total",
    type: "counter",
    labels: ["transport", "lane"],
    help: "Messages that clients asked to publish. By HTTP, lane json stands for all but MessagePack.",
    read: ({ registry }) => received(registry.traffic, "messagesIn"),
  },
  {
    name: "tagcast_received_bytes_total",
    type: "counter",
    labels: ["transport", "lane"],
    help: "Bytes of frames and of HTTP bodies with messages, as they came.",
    read: ({ registry }) => received(registry.traffic, "bytesIn"),
  },
  {
    name: "tagcast_published_messages_total",
    type: "counter",
    labels: [],
    help: "Messages published, whatever way they came: one for each tag.",
    read: ({ hub }) => hub.publishing.counts.messages,
  },
  {
    name: "tagcast_published_bytes_total",
    type: "counter",
    labels: [],
    help: "Bytes of their payloads, as MessagePack.",
    read: ({ hub }) => hub.publishing.counts.bytes,
  },
  {
    name: "tagcast_appends_total",
    type: "counter",
    labels: ["outcome"],
    help: "Messages to tags with a log: appended, repeated (their id was used before), or refused.",
    read: ({ hub: { publishing } }) => [
      [["appended"], publishing.counts.appended],
      [["repeated"], publishing.counts.repeated],
      [["refused"], publishing.counts.refused],
    ],
  },
  {
    name: "tagcast_sent_messages_total",
    type: "counter",
    labels: ["transport", "lane"],
    help: "Deliveries: messages times the subscriptions they were sent to.",
    read: ({ hub: { distributor, sinks }, registry: { traffic } }) => [
      [["websocket", "msgpack"], distributor.delivered.msgpack + sinks.delivered.msgpack],
      [["websocket", "json"], distributor.delivered.json + sinks.delivered.json],
      [["sse", "json"], traffic.sse.json.messagesOut],
    ],
  },
  {
    name: "tagcast_sent_bytes_total",
    type: "counter",
    labels: ["transport", "lane"],
    help: "Bytes of frames and of events handed to the runtime, for each connection; headers of frames not counted.",
    read: ({ hub: { distributor }, registry: { traffic } }) => [
      [["websocket", "msgpack"], distributor.sentBytes.msgpack + traffic.websocket.msgpack.bytesOut],
      [["websocket", "json"], distributor.sentBytes.json + traffic.websocket.json.bytesOut],
      [["sse", "json"], traffic.sse.json.bytesOut],
    ],
  },
  {
    name: "tagcast_fanout_frames_total",
    type: "counter",
    labels: [],
    help: "Frames published to native topics, each once whoever listens.",
    read: ({ hub }) => hub.distributor.counts.frames,
  },
  {
    name: "tagcast_fanout_deferred_frames_total",
    type: "counter",
    labels: [],
    help: "Frames that had to wait for a later turn, since one turn sends a bounded number of bytes.",
    read: ({ hub }) => hub.distributor.counts.deferredFrames,
  },
  {
    name: "tagcast_backlog_bytes",
    type: "gauge",
    labels: [],
    help: "Bytes of frames that wait for a later turn. Publishers are held back above a quarter of backlog-max.",
    read: ({ hub }) => hub.distributor.backlogBytes,
  },
  {
    name: "tagcast_sinks",
    type: "gauge",
    labels: [],
    help: "Subscriptions served one by one: those of event streams, and those that recover or are slow.",
    read: ({ hub }) => hub.sinks.size,
  },
  {
    name: "tagcast_slow_subscribers",
    type: "gauge",
    labels: [],
    help: "Connections that have more than 1 MiB to read now.",
    read: ({ hub }) => hub.slowSubscribers,
  },
  {
    name: "tagcast_slow_demotions_total",
    type: "counter",
    labels: [],
    help: "How often a connection was taken off the common topics for being slow.",
    read: ({ hub }) => hub.sinks.counts.demoted,
  },
  {
    name: "tagcast_slow_disconnects_total",
    type: "counter",
    labels: [],
    help: "Connections ended for having been slow for too long.",
    read: ({ hub }) => hub.sinks.counts.tooSlow,
  },
  {
    name: "tagcast_dropped_messages_total",
    type: "counter",
    labels: ["reason"],
    help: "Deliveries that did not take place, each told by a gap: slow (dropped), conflated (a newer one took its place), trimmed (gone from the log before a slow reader came to it).",
    read: ({ hub: { sinks } }) => [
      [["slow"], sinks.counts.slowDropped],
      [["conflated"], sinks.counts.conflated],
      [["trimmed"], sinks.counts.trimmed],
    ],
  },
  {
    name: "tagcast_gaps_total",
    type: "counter",
    labels: ["reason"],
    help: "Gaps told to subscribers, by the name of the code (docs/codes.md, 200–299).",
    read: ({ hub }) => byName(gaps, hub.distributor.gaps),
  },
  {
    name: "tagcast_logs",
    type: "gauge",
    labels: [],
    help: "Tags with a log, with or without messages.",
    read: ({ broker }) => broker().logs ?? [],
  },
  {
    name: "tagcast_log_messages",
    type: "gauge",
    labels: [],
    help: "Messages in all logs.",
    read: ({ broker }) => broker().messages ?? [],
  },
  {
    name: "tagcast_log_bytes",
    type: "gauge",
    labels: [],
    help: "Memory that they take, counted as logs-bytes-max is.",
    read: ({ broker }) => broker().bytes ?? [],
  },
  {
    name: "tagcast_idempotency_keys",
    type: "gauge",
    labels: [],
    help: "Ids of publishes that are remembered.",
    read: ({ broker }) => broker().idempotencyKeys ?? [],
  },
  {
    name: "tagcast_idempotency_keys_forgotten_total",
    type: "counter",
    labels: [],
    help: "Ids that were forgotten before idempotency-window ended: above idempotency-keys-max, or with a log dropped above logs-max.",
    read: ({ broker }) => broker().idempotencyKeysForgotten ?? [],
  },
  {
    name: "tagcast_presence_members",
    type: "gauge",
    labels: [],
    help: "Members of all tags with presence.",
    read: ({ broker }) => broker().members ?? [],
  },
  ...memoryMetrics,
  {
    name: "process_cpu_user_seconds_total",
    type: "counter",
    labels: [],
    help: "Time on the processor, outside the kernel.",
    read: () => process.cpuUsage().user / 1e6,
  },
  {
    name: "process_cpu_system_seconds_total",
    type: "counter",
    labels: [],
    help: "Time on the processor, in the kernel.",
    read: () => process.cpuUsage().system / 1e6,
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    labels: [],
    help: "Memory of the process.",
    read: () => process.memoryUsage.rss(),
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    labels: [],
    help: "When the process started, seconds since 1970.",
    read: () => Math.round(performance.timeOrigin / 1000),
  },
];

function* connections(registry: MetricSources["registry"]): Iterable<Sample> {
  const counts = new Map<string, [string[], number]>();
  for (const connection of registry) {
    if (!connection.identified) continue;
    const labels = [connection.identity.app, connection.transport, connection.lane];
    const key = labels.join("\n");
    const known = counts.get(key);
    if (known === undefined) counts.set(key, [labels, 1]);
    else known[1]++;
  }
  yield* counts.values();
}

/** A sample for each code of a table, so that a series is there before it first grows. */
function byName(table: Readonly<Record<string, Code>>, counts: Readonly<Record<number, number>>): Sample[] {
  return Object.values(table).map(({ code, name }) => [[name], counts[code] ?? 0]);
}

function received({ websocket, http }: MetricSources["registry"]["traffic"], what: keyof Flow): Sample[] {
  return [
    [["websocket", "msgpack"], websocket.msgpack[what]],
    [["websocket", "json"], websocket.json[what]],
    [["http", "msgpack"], http.msgpack[what]],
    [["http", "json"], http.json[what]],
  ];
}
