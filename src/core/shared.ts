/**
 * What instances of a cluster share beside messages, as contracts: a ledger of small records that each instance has a whole
 * copy of, connections counted together, and words from one instance to all. A server that is alone has none of them.
 */

/**
 * Records by name, all of them known to every instance. Changes are made by comparing: whoever commits says which revision
 * it has seen, and nothing is overwritten unseen.
 */
export interface Ledger {
  /** This instance's copy. */
  readonly records: ReadonlyMap<string, string>;
  /** Grows with each change of the copy, by whomever. */
  readonly revision: number;
  /** For how long the copy may have been out of date, milliseconds: 0 while connected, Infinity before it was first read. */
  ageMs(): number;
  /** Settles once the copy holds what was committed before this call, anywhere. Rejected where that cannot be had now. */
  catchUp(): Promise<void>;
  /**
   * Sets and (null) removes records, all or none. False: others were first, and the copy now holds what they did. Rejected
   * where the outcome is unknown, or nothing could be done.
   */
  commit(revision: number, changes: LedgerChanges): Promise<boolean>;
  /** Registers the one listener; it hears of each change after the copy holds it. Null: anything may have changed. */
  onChange(listener: (changes: LedgerChanges | null) => void): void;
}

export type LedgerChanges = ReadonlyMap<string, string | null>;

/** Connections counted over all instances, by a key that says whose they are. What is counted is kept by the caller. */
export interface SharedCounts {
  /**
   * Counts one more, unless all instances together then have more than `max`: those that are alive, which may take seconds to
   * know. Never rejected: where the others cannot be asked it is true, and told to them later.
   */
  acquire(key: string, max: number): Promise<boolean>;
  /** Counts some more, or less, in any case. */
  add(key: string, count: number): void;
  /** Registers who tells what is to be counted, where what the others know of this instance is lost or in doubt. */
  onRecount(counts: () => Iterable<readonly [key: string, count: number]>): void;
}

export interface Reply {
  /** Id of the instance. */
  readonly instance: string;
  readonly answer: unknown;
}

export interface Replies {
  /** Of this instance too, which is the first. */
  readonly replies: readonly Reply[];
  /** Ids of instances that did not answer in time. */
  readonly unanswered: readonly string[];
}

/** Words to all instances. What is said must be of JSON. */
export interface Control {
  /** Id of this instance: new with each start. */
  readonly instance: string;
  /** Registers what is done at this instance when a word with this name comes; the answer goes back to whoever said it. */
  on(name: string, handle: (question: unknown) => unknown): void;
  /** Asks all instances that are there now; those that are away do not hear of it. Never rejected. */
  ask(name: string, question: unknown): Promise<Replies>;
  /**
   * Orders all instances. One that is away hears of it when it is back, before it serves: what an order does must be right
   * then too, and when it is heard twice. Rejected where the order could not be given.
   */
  order(name: string, what: unknown): Promise<Replies>;
}

/** What an instance tells of itself, for operators. */
export interface InstanceFigures {
  readonly host: string;
  /** 0: not known yet. */
  readonly port: number;
  readonly version: string;
  readonly roles: readonly string[];
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly connections: number;
  /** Published at this instance, a second. */
  readonly messagesPerSecond: number;
  /** Deliveries to its connections, a second. */
  readonly deliveriesPerSecond: number;
  /** Of one processor: 1 is all of it. */
  readonly cpu: number;
}

/** An instance as the others see it. */
export interface InstanceView extends InstanceFigures {
  readonly instance: string;
  /** How long ago it was heard of, milliseconds. */
  readonly heardMs: number;
}

/** All of it, for the instance that is in a cluster. */
export interface Shared {
  readonly ledger: Ledger;
  readonly counts: SharedCounts;
  readonly control: Control;
  /** Begins to tell the others what `figures` says, each second. */
  describe(figures: () => InstanceFigures): void;
}
