/**
 * What the bench asks of a driver process, and what it answers: one command at a time, in order. A group is a set of
 * connections with a name; a run publishes from one group and counts what arrives at all that read.
 */

export type Command =
  | ConnectCommand
  | RunCommand
  /** Ends the connections of a group: with a close frame, or cut off. It can be reconnected, or connected anew. */
  | { readonly do: "leave"; readonly group: string; readonly abruptly: boolean }
  | ReconnectCommand
  | ReadCommand
  | ChurnCommand;

/**
 * All connections of a group come back at once and subscribe again from their positions; those still open are cut off
 * before. Ends once all have caught up: `latency` is from the beginning to where a client has, `seconds` to the last.
 */
export interface ReconnectCommand {
  readonly do: "reconnect";
  readonly group: string;
  /** Messages of the last run that each client missed. */
  readonly missed: number;
  readonly deadlineMs: number;
}

/**
 * The connections of a group stop or go on reading from their sockets. A run does not count those that do not read; once
 * they go on, their tally of the last run is answered, as it is when nothing has come for `quietMs`.
 */
export interface ReadCommand {
  readonly do: "read";
  readonly group: string;
  readonly reading: boolean;
  readonly quietMs?: number;
}

/** Connections that come, do something, and leave, each with its own handshake. `latency` is of whole cycles. */
export interface ChurnCommand {
  readonly do: "churn";
  readonly host: string;
  readonly port: number;
  readonly protocol: string;
  /** Ends after so many … */
  readonly cycles: number;
  /** … or so much time. */
  readonly seconds: number;
  /** Connections at once. */
  readonly concurrency: number;
  /** What each subscribes to before it leaves. */
  readonly subscriptions: readonly string[];
  /** What each publishes; acknowledged before it leaves where that is asked for. */
  readonly publish?: { readonly tag: string; readonly payloadBytes: number; readonly acknowledge: boolean };
  /** Deliveries that each message should cause at the groups that are connected. */
  readonly receivers: number;
  readonly quietMs: number;
}

export interface ConnectCommand {
  readonly do: "connect";
  readonly group: string;
  readonly host: string;
  readonly port: number;
  /** Name in `load/protocols.ts`. */
  readonly protocol: string;
  readonly clients: number;
  /** Client i subscribes to each of `subscriptions[i % length]`; empty: to nothing. */
  readonly subscriptions: readonly (readonly string[])[];
  readonly compression?: boolean;
  /** Handshakes under way at once. Default 100. */
  readonly opening?: number;
}

export interface RunCommand {
  readonly do: "run";
  /** Publishing group: client i publishes to `tags[i % length]`, in turn where it has several. */
  readonly publishers: string;
  readonly tags: readonly (readonly string[])[];
  readonly payloadBytes: number;
  /** Ends after so many messages in all … */
  readonly messages: number;
  /** … or so much time, whichever comes first. */
  readonly seconds: number;
  /** Messages in flight over all publishers (published − delivered ÷ receivers), or a fixed rate of all publishers together. */
  readonly pace: { readonly inFlight: number } | { readonly perSecond: number };
  readonly acknowledge: boolean;
  /** Publishes of one client that share a WebSocket frame, where the protocol has that: no more are in flight for less. Default 1. */
  readonly perFrame?: number;
  /** Deliveries that each message should cause. */
  readonly receivers: number;
  /** After the last publish, how long without an arrival until what is missing counts as lost. */
  readonly quietMs: number;
}

export interface Latency {
  /** Microseconds from publish to arrival, both read in the driver; a saturated run takes that of some of its messages. */
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Tally {
  readonly published: number;
  readonly acknowledged: number;
  readonly expected: number;
  readonly delivered: number;
  /** Neither delivered nor told. */
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
  /** Not delivered, and the subscriber was told so. */
  readonly told: number;
  readonly failures: readonly string[];
  readonly latency: Latency;
  /** From the first publish to the last arrival. */
  readonly seconds: number;
  /** CPU seconds of the driver in that time: above 0.9 of `seconds` it is the bottleneck. */
  readonly driverSeconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export type Answer =
  | {
      readonly ok: true;
      readonly tally?: Tally;
      /** Of `connect`: from the handshake of each client to its last subscription. */
      readonly opening?: Latency;
      readonly seconds: number;
      readonly driverSeconds: number;
      readonly connections: number;
    }
  | { readonly ok: false; readonly error: string };
