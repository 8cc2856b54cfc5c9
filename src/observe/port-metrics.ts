/** Metrics of the port: whether it listens, descriptors, certificates. A table as in `metric-table.ts`, and in its document. */
import type { Metric } from "./metric-table.ts";

/** What the gateway says of its port. */
export interface PortNumbers {
  readonly descriptors: {
    /** Null: unknown. */
    readonly limit: number | null;
    readonly open: number | null;
    readonly listening: boolean;
    readonly counts: { readonly pauses: number };
  };
  /** Null: without TLS. */
  readonly certificates: {
    /** Negative once it has expired. */
    expiries(): Iterable<readonly [name: string, seconds: number]>;
    readonly counts: { readonly taken: number; readonly refused: number };
  } | null;
  readonly encryption: { readonly counts: { readonly plainRefused: number } };
}

export const portMetrics: readonly Metric[] = [
  {
    name: "tagcast_listening",
    type: "gauge",
    labels: [],
    help: "Whether new connections are accepted: 1, or 0 while too many file descriptors are open.",
    read: ({ port }) => Number(port.descriptors.listening),
  },
  {
    name: "tagcast_listening_pauses_total",
    type: "counter",
    labels: [],
    help: "How often too many file descriptors were open, so that nobody could connect until there were fewer.",
    read: ({ port }) => port.descriptors.counts.pauses,
  },
  {
    name: "process_open_fds",
    type: "gauge",
    labels: [],
    help: "Open file descriptors; 0 where the system does not tell.",
    read: ({ port }) => port.descriptors.open ?? 0,
  },
  {
    name: "process_max_fds",
    type: "gauge",
    labels: [],
    help: "File descriptors that the process may open; 0 where the system does not tell.",
    read: ({ port }) => port.descriptors.limit ?? 0,
  },
  {
    name: "tagcast_plain_refused_total",
    type: "counter",
    labels: [],
    help: "Requests refused because they did not come by TLS, where `require-tls` asks for it.",
    read: ({ port }) => port.encryption.counts.plainRefused,
  },
  {
    name: "tagcast_tls_certificate_expiry_seconds",
    type: "gauge",
    labels: ["certificate"],
    help: "Seconds until a certificate that is served expires, negative from then on; by the first name it holds.",
    read: ({ port }) => [...(port.certificates?.expiries() ?? [])].map(([name, seconds]) => [[name], seconds]),
  },
  {
    name: "tagcast_tls_certificate_changes_total",
    type: "counter",
    labels: ["outcome"],
    help: "Changes of the files of certificates: taken up, or refused because they could not be used.",
    read: ({ port: { certificates } }) => [
      [["taken"], certificates?.counts.taken ?? 0],
      [["refused"], certificates?.counts.refused ?? 0],
    ],
  },
];
