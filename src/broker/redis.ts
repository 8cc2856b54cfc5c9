/**
 * The broker of a cluster: logs, keys and members in Redis, announcements by its channels. Instances that share a Redis
 * share one tag space. What stands where and for how long is in `redis/`, and what runs there in `redis/scripts/`.
 */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { readRedisAddress } from "../core/redis-address.ts";
import type { Shared } from "../core/shared.ts";
import type { TagRule } from "../core/tag-rule.ts";
import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import type { Body } from "../wire/messages.ts";
import type {
  Answer,
  Appended,
  Batch,
  Broker,
  Comparison,
  Draft,
  Feed,
  LogPosition,
  Member,
  Members,
  Page,
  PageLimits,
} from "./broker.ts";
import type { MemoryStats } from "./memory.ts";
import { Appends } from "./redis/appends.ts";
import { Bridge } from "./redis/bridge.ts";
import { Calls, randomName } from "./redis/calls.ts";
import { RedisControl } from "./redis/control.ts";
import { Channels } from "./redis/channels.ts";
import { Ending } from "./redis/ending.ts";
import { Interest } from "./redis/interest.ts";
import { nameOf, Places } from "./redis/keys.ts";
import { Lease } from "./redis/lease.ts";
import { MemberRegistry } from "./redis/members.ts";
import { OwnBatches } from "./redis/own-batches.ts";
import { Reads } from "./redis/reads.ts";
import { Receiver } from "./redis/receiver.ts";
import { Relays } from "./redis/relays.ts";
import { Servers } from "./redis/servers/open.ts";

export interface RedisBrokerOptions {
  /** As `parseRedisAddress` takes it. */
  readonly url: string;
  /** Levels of a tag that decide where it is kept; all instances on one Redis have the same. */
  readonly slotLevels: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a used key is remembered, milliseconds. */
  readonly idempotencyWindowMs: number;
  /** By how many milliseconds the time of Redis is to be taken for later than it is; for tests. */
  readonly aheadMs?: () => number;
}

/** The state of the connection to Redis. */
export interface BridgeStats {
  readonly connected: boolean;
  /** Milliseconds that the last heartbeat took from this instance through Redis and back. */
  readonly lagMs: number;
  /** Bytes sent and not answered. */
  readonly pendingBytes: number;
  readonly reconnects: number;
  /** Messages for logs that were refused because Redis was away, or refused them. */
  readonly refused: number;
  /** Live-only messages that other instances did not get because Redis was away. */
  readonly unrelayed: number;
  readonly relayed: number;
  /** Calls of scripts. */
  readonly calls: number;
  readonly channels: number;
  readonly packets: number;
  readonly packetBytes: number;
  /** Packets and frames of a version that this one does not know. */
  readonly unknown: number;
}

/** What is kept is not counted here, Redis says: not a number. */
export interface RedisStats extends MemoryStats {
  /** Members of this instance. */
  readonly members: number;
  readonly bridge: BridgeStats;
}

const notCounted = { logs: NaN, messages: NaN, bytes: NaN, idempotencyKeys: NaN, idempotencyKeysForgotten: NaN };

/** Answers are promises, but for `append` while Redis is away; `stats` is for metrics and costs nothing. */
export interface RedisBroker extends Broker {
  start(feed: Feed): Promise<void>;
  stop(): Promise<void>;
  subscribe(app: string, pattern: string): Promise<void>;
  history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Promise<Page>;
  logs(
    app: string,
    pattern: string,
    limit: number,
  ): Promise<{ readonly logs: readonly LogPosition[]; readonly more: boolean }>;
  join(app: string, tag: string, member: Member): Promise<void>;
  leave(app: string, tag: string, member: Member): Promise<void>;
  members(app: string, tag: string): Promise<Members>;
  readonly relay: (app: string, tag: string, body: Body) => void;
  readonly comparison: Comparison;
  readonly shared: Shared;
  stats(): RedisStats;
}

export function openRedisBroker(options: RedisBrokerOptions): RedisBroker {
  return new InstanceRedisBroker(options);
}

class InstanceRedisBroker implements RedisBroker {
  readonly #instance = randomName();
  /** Patterns of applications that are subscribed to, with what settles once that is confirmed. */
  readonly #wanted = new Map<string, Promise<void>>();
  /** Those that are confirmed. */
  readonly #interest = new Interest();
  readonly #places: Places;
  readonly #channels: Channels;
  readonly #calls: Calls;
  readonly #own: OwnBatches;
  readonly #appends: Appends;
  readonly #reads: Reads;
  readonly #relays: Relays;
  readonly #members: MemberRegistry;
  readonly #lease: Lease;
  readonly #bridge: Bridge;
  readonly shared: RedisControl;
  readonly #ending: Ending;
  #receiver: Receiver | null = null;
  #feed: Feed | null = null;
  #stopped = false;

  readonly relay = (app: string, tag: string, body: Body): void => this.#relays.relay(app, tag, body);
  readonly comparison: Comparison = {
    tops: (app, tags) => this.#reads.tops(app, tags),
    changed: (app, withinMs, limit) => this.#reads.changed(app, withinMs, limit),
  };

  constructor(options: RedisBrokerOptions) {
    const { url, slotLevels, clock, logger, idempotencyWindowMs, aheadMs = () => 0 } = options;
    const instance = this.#instance;
    this.#places = new Places(slotLevels);
    this.#channels = new Channels(clock);
    this.#ending = new Ending(clock, (app, pattern) => this.#end(app, pattern));
    this.#calls = new Calls({ instance, slotLevels, aheadMs });
    this.#own = new OwnBatches((app, tag) => this.#interest.has(app, tag));
    const parts = { calls: this.#calls, places: this.#places, own: this.#own };
    this.#appends = new Appends({ ...parts, idempotencyWindowMs });
    this.#reads = new Reads(this.#calls, this.#places);
    this.#relays = new Relays(this.#calls, this.#places, clock);
    this.#lease = new Lease({
      calls: this.#calls,
      slotLevels,
      onBeat: (call) => this.#bridge.sent(call),
      // While a connection is made it is told at its end.
      onExpired: () => {
        if (this.#bridge.up) this.#feed?.resynced({ relayed: false });
      },
      onTrouble: (error) => logger.warn("members of another instance could not be ended", { error }),
    });
    this.#members = new MemberRegistry(this.#calls, this.#places, (slot) => this.#lease.announce(slot));
    this.#lease.bind(this.#members);
    const incarnation = () => this.#members.incarnation;
    this.shared = new RedisControl({ calls: this.#calls, clock, logger, instance, incarnation });
    this.#bridge = new Bridge({
      servers: new Servers(readRedisAddress(url), { instance, clock }),
      instance,
      clock,
      logger,
      calls: this.#calls,
      channels: this.#channels,
      receive: (packet, source) => this.#receiver?.packet(packet, source),
      beat: () => this.#lease.beat(),
      join: (connection) => this.shared.open(connection),
      onResumed: () => this.#resumed(),
      onMoved: () => this.#resumed(),
      onBeat: () => {
        this.#own.beat();
        this.#receiver?.beat();
        if (!this.#bridge.up) return;
        this.shared.beat();
        this.#members.beat().catch(ignore);
      },
    });
  }

  async start(feed: Feed): Promise<void> {
    assert(this.#feed === null, "a broker is started once");
    this.#feed = feed;
    this.#receiver = new Receiver({ feed, instance: this.#instance, interest: this.#interest, own: this.#own });
    await this.#bridge.start();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#ending.stop();
    this.#relays.flush();
    if (this.#bridge.up) await Promise.all([this.shared.end(), this.#lease.end()]).catch(() => {});
    this.#bridge.stop();
  }

  ready(): boolean {
    return this.#bridge.up && !this.#stopped;
  }

  #resumed(): void {
    this.#relays.tellMissed();
    this.#members.retell().catch(ignore);
    this.#feed?.resynced({ relayed: true });
  }

  append<D extends Draft>(batches: readonly Batch<D>[]): Answer<readonly Appended[]> {
    return this.#appends.append(this.ready(), batches);
  }

  async subscribe(app: string, pattern: string): Promise<void> {
    if (!this.ready()) throw new ProtocolError(errors.unavailable);
    this.#ending.keep(app, pattern);
    await (this.#wanted.get(nameOf(app, pattern)) ?? this.#want(app, pattern));
  }

  #want(app: string, pattern: string): Promise<void> {
    const name = nameOf(app, pattern);
    const isCurrent = () => this.#wanted.get(name) === wanted;
    const wanted = this.#channels.want(this.#places.channels(app, pattern)).then(
      () => {
        // Not sooner: what comes until then was announced before there was interest.
        if (isCurrent()) this.#interest.add(app, pattern);
      },
      (error: unknown) => {
        if (isCurrent()) this.#end(app, pattern);
        throw error;
      },
    );
    this.#wanted.set(name, wanted);
    return wanted;
  }

  unsubscribe(app: string, pattern: string): void {
    this.#ending.end(app, pattern);
  }

  #end(app: string, pattern: string): void {
    if (!this.#wanted.delete(nameOf(app, pattern))) return;
    this.#interest.remove(app, pattern);
    this.#channels.unwant(this.#places.channels(app, pattern));
  }

  // oxlint-disable-next-line max-params -- the contract's signature
  async history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Promise<Page> {
    return await this.#reads.history(app, tag, rule, after, limits);
  }

  async logs(
    app: string,
    pattern: string,
    limit: number,
  ): Promise<{ readonly logs: readonly LogPosition[]; readonly more: boolean }> {
    return await this.#reads.logs(app, pattern, limit);
  }

  async join(app: string, tag: string, member: Member): Promise<void> {
    await this.#members.join(app, tag, member);
  }

  async leave(app: string, tag: string, member: Member): Promise<void> {
    await this.#members.leave(app, tag, member);
  }

  async members(app: string, tag: string): Promise<Members> {
    return await this.#members.members(app, tag);
  }

  stats(): RedisStats {
    const { counts: received } = this.#receiver ?? { counts: { packets: 0, bytes: 0, unknown: 0 } };
    return {
      ...notCounted,
      members: this.#members.count,
      bridge: {
        connected: this.#bridge.up,
        lagMs: this.#bridge.lagMs,
        pendingBytes: this.#calls.pendingBytes,
        reconnects: this.#bridge.counts.reconnects,
        refused: this.#appends.refused,
        unrelayed: this.#relays.counts.dropped,
        relayed: this.#relays.counts.messages,
        calls: this.#calls.counts.calls,
        channels: this.#channels.size,
        packets: received.packets,
        packetBytes: received.bytes,
        unknown: received.unknown,
      },
    };
  }
}

function ignore(): void {
  // A later beat tries again.
}
