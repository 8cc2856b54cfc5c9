/** A server that the bench measures: how it is started, which protocol its clients speak, what it is able to do. */

/** What a workload may ask of a peer beyond publish and subscribe by exact name. */
export type Ability = "wildcards" | "log" | "acknowledgements" | "compression" | "json" | "authentication";

export interface PeerOptions {
  /** `permessage-deflate` on. */
  readonly compression?: boolean;
  /** Where the sources of tagcast stand, for a comparison of two versions; this checkout if absent. */
  readonly checkout?: string;
  /** Largest number of connections that will be opened. */
  readonly connections?: number;
}

/** A program that a peer consists of. */
export interface Part {
  /** `sender`, `receiver`, `redis`; of a peer that is one program: `server`. */
  readonly name: string;
  /** The whole tree under it is measured. */
  readonly pid: number;
  readonly port: number;
}

export interface RunningPeer {
  readonly host: string;
  /** Where clients connect, unless they are to connect to a certain part. */
  readonly port: number;
  /** Measured together, and each by itself. */
  readonly parts: readonly Part[];
  /** Ends the process and what it started; settles once all are gone. */
  stop(): Promise<void>;
}

export interface Peer {
  /** As the report names it: `tagcast`, `bun control`, `mosquitto`, `mosquitto-tcp`, `mosquitto durable`, `nats`, `socket.io`, `socket.io-redis`, `ws`, `aedes`. */
  readonly name: string;
  /** One line for the report: what it is and how it was configured. */
  readonly about: string;
  /** Name in `load/protocols.ts`. */
  readonly protocol: string;
  readonly abilities: readonly Ability[];
  /** Its version, or null where it is not installed. */
  version(): Promise<string | null>;
  /** How to install it, for the line that says it is skipped. */
  readonly install: string;
  start(options: PeerOptions): Promise<RunningPeer>;
}
