/**
 * Finds what the feed has lost without a later message to show it: every now and then, and at once after an outage, how far
 * each log was served here is compared with the broker. What is behind is read from the log like any other hole.
 *
 *   tags subscribed to by name      their positions, in batches
 *   logs that wildcards match       those appended to since the last comparison, of the whole application at once
 */
import type { Broker, LogTop, NamedTop } from "../broker/broker.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { GapNotices } from "./gap-notices.ts";
import type { LogFeed } from "./log-feed.ts";
import type { Space } from "./space.ts";
import type { Topic } from "./topic.ts";

const periodMs = 30_000;
/** By how much of it the periods of instances differ, either way: they are not to ask all at once. */
const jitter = 0.2;
/** Positions asked for at once, and looked at in one turn. */
const batchTags = 512;
/** Logs of an application listed at once. */
const changedMax = 65_536;
/** Added to the time that a listing goes back: clocks of brokers differ, and answers take a while. */
const overlapMs = 10_000;
/** How long something may be behind before it counts as lost: the feed may be on its way. */
const graceMs = 1000;
/** Pause before a comparison that is due at once, and failed, is begun anew. */
const retryMs = 1000;

export interface ComparisonParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly feed: LogFeed;
  readonly notices: GapNotices;
  readonly spaces: ReadonlyMap<string, Space>;
  /** Asks again for interest that the broker has refused. */
  readonly bridge: () => void;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly onTrouble: (error: unknown) => void;
}

/** A log that the broker has more of than was served here. */
interface Suspect extends NamedTop {
  readonly space: Space;
}

export class Comparison {
  readonly #parts: ComparisonParts;
  /** Monotonic time at which the last complete comparison began. */
  #comparedAtMs: number;
  #timer: Timer | null = null;
  #running = false;
  /** A comparison is due at once, since events are known to have been lost. */
  #urgent = false;
  #suspects: Suspect[] = [];

  constructor(parts: ComparisonParts) {
    this.#parts = parts;
    this.#comparedAtMs = parts.clock.monotonicMs();
  }

  start(): void {
    if (this.#parts.broker.comparison === undefined) return;
    const interval = periodMs * (1 + jitter * (2 * this.#parts.random() - 1));
    this.#timer = this.#parts.clock.every(interval, () => {
      this.#parts.bridge();
      this.#begin();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Events may have been lost until now. */
  resynced(): void {
    this.#urgent = true;
    this.#begin();
  }

  #begin(): void {
    if (this.#running || this.#timer === null) return;
    this.#running = true;
    const urgent = this.#urgent;
    this.#urgent = false;
    const beganAtMs = this.#parts.clock.monotonicMs();
    this.#compareAll(urgent)
      .then(
        () => void (this.#comparedAtMs = beganAtMs),
        // The broker is away. After an outage somebody waits for this; otherwise the next period will do.
        () => void (urgent && this.#parts.clock.after(retryMs, () => this.resynced())),
      )
      .then(() => {
        this.#running = false;
        this.#check(urgent);
        if (this.#urgent) this.#begin();
      })
      .catch(this.#parts.onTrouble);
  }

  async #compareAll(urgent: boolean): Promise<void> {
    for (const space of this.#parts.spaces.values()) {
      if (!space.rules.some((rule) => rule.history !== null)) continue;
      const isWhole = space.wildcards.size === 0 || (await this.#compareChanged(space, urgent));
      await this.#compareTops(space, isWhole, urgent);
    }
  }

  /** False: not all that changed could be listed. */
  async #compareChanged(space: Space, urgent: boolean): Promise<boolean> {
    const withinMs = this.#parts.clock.monotonicMs() - this.#comparedAtMs + overlapMs;
    const changed = await this.#parts.broker.comparison?.changed(space.app, withinMs, changedMax);
    if (changed === undefined) return true;
    const untraced = new Set<Topic>();
    for (const [i, log] of changed.logs.entries()) {
      if (i % batchTags === batchTags - 1) await this.#turn();
      for (const topic of this.#compareOne(space, log)) untraced.add(topic);
    }
    if (!urgent) return !changed.more;
    for (const topic of space.wildcards.values()) {
      if (changed.more && space.mayKeepLog(topic.pattern)) untraced.add(topic);
    }
    for (const topic of untraced) this.#parts.notices.cutOff(topic);
    return !changed.more;
  }

  /** Compares tags subscribed to by name, or all that are known. */
  async #compareTops(space: Space, onlyNamed: boolean, urgent: boolean): Promise<void> {
    const tags: string[] = [];
    for (const state of space.logged()) if (!onlyNamed || state.exact !== null) tags.push(state.tag);
    if (!onlyNamed) for (const tag of space.forgottenLogs.tags()) tags.push(tag);
    for (let i = 0; i < tags.length; i += batchTags) {
      const batch = tags.slice(i, i + batchTags);
      const tops = await this.#parts.broker.comparison?.tops(space.app, batch);
      for (const [at, tag] of batch.entries()) {
        const top = tops?.[at] ?? null;
        // A log that is gone brings nothing; what comes after it has another epoch.
        if (top !== null) this.#compareOne(space, { tag, ...top });
      }
      if (urgent) this.#check(true);
      await this.#turn();
    }
  }

  /** Wildcards that may have missed something of a log that nothing was known of. */
  #compareOne(space: Space, log: NamedTop): readonly Topic[] {
    const { tag } = log;
    const served = space.find(tag)?.log ?? space.known(tag);
    if (served !== null) {
      if (isBehind(served, log)) this.#suspects.push({ space, tag, epoch: log.epoch, top: log.top });
      return [];
    }
    const topics = space.wildcardsOf(tag);
    if (topics.length === 0) return [];
    if (!space.wasEmpty(topics)) return topics;
    this.#suspects.push({ space, tag, epoch: log.epoch, top: log.top });
    return [];
  }

  /** Repairs what is behind: at once where events are known to be lost, else what still is after a while. */
  #check(urgent: boolean): void {
    const suspects = this.#suspects;
    this.#suspects = [];
    if (suspects.length === 0) return;
    if (!urgent) return void this.#parts.clock.after(graceMs, () => this.#repairAll(suspects));
    this.#repairAll(suspects);
  }

  #repairAll(suspects: readonly Suspect[]): void {
    if (this.#timer === null) return;
    const busy = suspects.slice(0, batchTags).filter((suspect) => this.#repair(suspect));
    const rest = suspects.slice(batchTags);
    if (rest.length > 0) this.#parts.clock.endOfTurn(() => this.#repairAll(rest));
    // Being read: what was lost may have been lost after that read.
    if (busy.length > 0) this.#parts.clock.after(graceMs, () => this.#repairAll(busy));
  }

  /** True: it is being read for some other reason, and is to be looked at again. */
  #repair({ space, ...log }: Suspect): boolean {
    const { feed } = this.#parts;
    const known = space.find(log.tag)?.log ?? space.known(log.tag);
    if (known === null && !space.wasEmpty(space.wildcardsOf(log.tag))) return false;
    const state = space.tag(log.tag);
    if (state.log === null) feed.adopt(state, log);
    else if (!isBehind(state.log, log)) return false;
    else if (state.log.state !== "live") return true;
    else feed.verify(state);
    return false;
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.endOfTurn(resolve));
  }
}

function isBehind(served: LogTop, { epoch, top }: LogTop): boolean {
  return served.epoch !== epoch || served.top < top;
}
