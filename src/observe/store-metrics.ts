/** Metrics of the store on disk, which only instances with one have. A table as in `metric-table.ts`, and in its document. */
import type { Histogram } from "../lib/histogram.ts";
import type { Metric } from "./metric-table.ts";

/** What the broker says of its store. */
export type StoreNumbers = Readonly<
  Record<"fileBytes" | "walBytes" | "commits" | "checkpoints" | "setAside", number>
> & {
  readonly isWritable: boolean;
  /** Null: nothing is wrong. */
  readonly trouble: string | null;
};

export interface StoreSources {
  readonly numbers: () => StoreNumbers;
  /** Seconds. */
  readonly commitSeconds: Histogram;
}

/** A histogram. */
export const commitMetric = {
  name: "tagcast_store_commit_seconds",
  help: "From the beginning of a transaction until its messages were on disk, once for each group of publishes.",
} as const;

type Column = readonly [name: string, type: Metric["type"], help: string, read: (store: StoreNumbers) => number];

const columns: readonly Column[] = [
  [
    "writable",
    "gauge",
    "Whether publishes to logs are taken: 1, or 0 where the disk is full or does not work.",
    ({ isWritable }) => Number(isWritable),
  ],
  ["file_bytes", "gauge", "Size of the file, with pages that wait to be used again.", ({ fileBytes }) => fileBytes],
  ["wal_bytes", "gauge", "Size of its write-ahead log.", ({ walBytes }) => walBytes],
  ["commits_total", "counter", "Transactions.", ({ commits }) => commits],
  [
    "checkpoints_total",
    "counter",
    "How often the write-ahead log was brought into the file.",
    ({ checkpoints }) => checkpoints,
  ],
  ["set_aside_total", "counter", "Damaged files that were set aside.", ({ setAside }) => setAside],
];

export const storeMetrics: readonly Metric[] = columns.map(([name, type, help, read]) => ({
  name: `tagcast_store_${name}`,
  type,
  labels: [],
  help,
  read: ({ store }) => (store === null ? [] : read(store.numbers())),
}));
