/**
 * The masters of a Redis Cluster, taken together: it ends when one of them is lost. Slot keys that move from one to another
 * are followed: requests wait for that and are made again, and channels are subscribed to at their new place.
 */
import { hostInUrl } from "../../../core/redis-address.ts";
import type { Clock } from "../../../lib/clock.ts";
import { codeOf, type Link } from "../connect.ts";
import { loadScripts, type Script } from "../scripts.ts";
import type { Connection, Receive } from "./connection.ts";
import { stamp } from "./header.ts";
import { Lane } from "./lane.ts";
import { ClusterNode, type Listening, subscribeAll } from "./node.ts";
import { survey } from "./survey.ts";
import { indexOf, indexOfChannel, rangesAt, type Slot, slotAt, slotCount } from "./topology.ts";

/** How long a request waits while its slot key is on its way to another master. */
const movingMs = 50;
/** Between looks whether slot keys have moved without anybody saying so. */
const lookBeats = 2;
const subscribeTries = 20;
/** Looks that fail one after the other, after which the connection is given up. */
const lookTries = 5;
const tellMs = 1000;

export interface ClusterParts {
  readonly instance: string;
  readonly clock: Clock;
}

export class ClusterConnection implements Connection {
  readonly isClustered = true;
  readonly ended: Promise<Error>;
  onMoved = (): void => {};
  readonly #parts: ClusterParts;
  readonly #end: (reason: Error) => void;
  readonly #urlOf: (host: string, port: number) => string;
  readonly #lanes = new Map<number, Lane>();
  /** By slot key. */
  readonly #listening = new Map<number, Map<string, Receive>>();
  #nodes: ReadonlyMap<string, ClusterNode> = new Map();
  #owners: readonly ClusterNode[] = [];
  #isEnded = false;
  #refreshing: Promise<void> | null = null;
  /** Masters that are to be listened to anew. */
  readonly #deaf = new Set<ClusterNode>();
  /** Slot keys that are on their way to another master, as far as a relay has come upon it since the last look. */
  readonly #leaving = new Set<number>();
  #beats = 0;
  #isTelling = false;
  #toldMs = -Infinity;

  private constructor(parts: ClusterParts, urlOf: (host: string, port: number) => string) {
    this.#parts = parts;
    this.#urlOf = urlOf;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.ended = promise;
    this.#end = (reason) => {
      this.#isEnded = true;
      resolve(reason);
    };
  }

  /** Asks a server of the cluster for the others; it is given up. @throws Error where not all of them can be reached */
  static async open(seed: Link, parts: ClusterParts): Promise<ClusterConnection> {
    const urlOf = (host: string, port: number) => {
      const url = new URL(seed.url);
      url.hostname = hostInUrl(host);
      url.port = `${port}`;
      return url.href;
    };
    const connection = new ClusterConnection(parts, urlOf);
    try {
      const ranges = await rangesAt(seed);
      const open = (host: string, port: number) => ClusterNode.open(urlOf(host, port));
      const { nodes, owners } = await survey({ nodes: new Map(), ranges, before: [], open });
      for (const node of nodes.values()) connection.#follow(node);
      connection.#nodes = nodes;
      connection.#owners = owners.map((owner) => {
        if (owner === null)
          throw new Error("A part of the Redis Cluster is not served by any master that can be reached");
        return owner;
      });
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    } finally {
      seed.destroy();
    }
  }

  get isEnded(): boolean {
    return this.#isEnded || [...this.#nodes.values()].some((node) => node.isEnded);
  }

  run(script: Script, slot: Slot, args: readonly [Buffer, ...(string | Buffer)[]]): Promise<unknown> {
    const index = indexOf(slot);
    const [block] = args;
    const isRelay = script.name === "relay";
    return this.#lane(isRelay ? -1 - index : index).run(() => {
      const owner = this.#owner(index);
      stamp(block, owner.runId, true);
      // No such key is there, ever: while the slot key is on its way all of it waits, not the half that has gone. Channels
      // stay until the end; at other times the key sees to it that a replica does not take what it has no listeners for.
      const keys = isRelay && this.#leaving.has(index) ? ["0"] : ["1", `tc1:{${slot}}:-`];
      return owner.send(["EVALSHA", script.sha, ...keys, ...args]);
    });
  }

  command(args: readonly string[]): Promise<unknown> {
    const all = indexOf("all");
    return this.#lane(all).run(() => this.#owner(all).send(args));
  }

  publish(channel: string, text: string): Promise<unknown> {
    return this.command(["SPUBLISH", channel, text]);
  }

  async subscribe(channels: readonly string[], receive: Receive): Promise<void> {
    const asked: Promise<void>[] = [];
    for (const [index, names] of this.#byIndex(channels)) {
      let known = this.#listening.get(index);
      if (known === undefined) this.#listening.set(index, (known = new Map()));
      for (const name of names) known.set(name, receive);
      asked.push(this.#subscribe(index, names, receive));
    }
    await Promise.all(asked);
  }

  async #subscribe(index: number, channels: readonly string[], receive: Receive): Promise<void> {
    for (let tries = 1; ; tries++) {
      const owner = this.#owner(index);
      try {
        await owner.subscribe(channels, receive);
        if (this.#owner(index) === owner) return;
      } catch (error) {
        if (this.#isEnded || tries === subscribeTries) throw error;
        await this.#refresh();
        await this.#pause();
      }
    }
  }

  async unsubscribe(channels: readonly string[], receive: Receive): Promise<void> {
    const asked: Promise<void>[] = [];
    for (const [index, names] of this.#byIndex(channels)) {
      const known = this.#listening.get(index);
      for (const name of names) known?.delete(name);
      if (known?.size === 0) this.#listening.delete(index);
      asked.push(this.#owner(index).unsubscribe(names, receive));
    }
    await Promise.all(asked);
  }

  async fence(): Promise<void> {
    await Promise.all([...new Set(this.#owners)].map((node) => node.fence()));
  }

  beat(): void {
    const first = new Map<ClusterNode, number>();
    for (const [index, owner] of this.#owners.entries()) if (!first.has(owner)) first.set(owner, index);
    for (const [node, index] of first) node.beat(index, this.#parts.instance);
    if (++this.#beats % lookBeats === 0) void this.#refresh();
  }

  destroy(): void {
    this.#end(new Error("Given up"));
    for (const node of this.#nodes.values()) node.destroy();
  }

  #owner(index: number): ClusterNode {
    return this.#owners[index] as ClusterNode;
  }

  /** Channels by slot key. The firehose of an application is one channel for each slot key. */
  #byIndex(channels: readonly string[]): Map<number, string[]> {
    const found = new Map<number, string[]>();
    const add = (index: number, channel: string) => {
      const names = found.get(index);
      if (names === undefined) found.set(index, [channel]);
      else names.push(channel);
    };
    for (const channel of channels) {
      const index = indexOfChannel(channel);
      if (index !== null) add(index, channel);
      else for (let i = 0; i < slotCount - 1; i++) add(i, channel.replace("tc1:", `tc1:{${slotAt(i)}}:`));
    }
    return found;
  }

  #lane(index: number): Lane {
    let lane = this.#lanes.get(index);
    if (lane === undefined) {
      lane = new Lane((reason) => (index < 0 ? this.#relayRemedy(reason, -1 - index) : this.#remedy(reason, index)));
      this.#lanes.set(index, lane);
    }
    return lane;
  }

  #relayRemedy(reason: unknown, index: number): (() => Promise<void>) | null {
    if (codeOf(reason) !== "ASK" || this.#leaving.has(index)) return this.#remedy(reason, index);
    return async () => void this.#leaving.add(index);
  }

  #remedy(reason: unknown, index: number): (() => Promise<void>) | null {
    if (this.#isEnded) return null;
    const code = codeOf(reason);
    if (code === "NOSCRIPT") return () => loadScripts(this.#owner(index));
    if (code === "ASK" || code === "TRYAGAIN") return () => this.#pause();
    // What a script does at a server that does not hold the slot key says so in other words.
    const isElsewhere = code === "MOVED" || (reason instanceof Error && reason.message.includes("non local key"));
    if (!isElsewhere) return null;
    return async () => {
      const owner = this.#owner(index);
      await this.#refresh();
      if (this.#owner(index) === owner) await this.#pause();
    };
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#parts.clock.after(movingMs, resolve));
  }

  #follow(node: ClusterNode): void {
    node.onDeaf = () => {
      this.#deaf.add(node);
      void this.#refresh();
    };
    if (node.isDeaf) this.#deaf.add(node);
    void node.ended.then((reason) => {
      if (this.#nodes.get(node.id) === node) this.#end(reason);
    });
  }

  /** Settles once it is known where slot keys are now; one for all who ask meanwhile. Never rejects. */
  #refresh(): Promise<void> {
    if (this.#isEnded) return Promise.resolve();
    this.#refreshing ??= this.#lookUntilSeen().finally(() => {
      this.#refreshing = null;
      // What was told of meanwhile may have come too late for it.
      if (this.#deaf.size > 0) void this.#pause().then(() => this.#refresh());
    });
    return this.#refreshing;
  }

  /** Slot keys may move while it is being looked where they are. */
  async #lookUntilSeen(): Promise<void> {
    for (let tries = 1; !this.#isEnded; tries++) {
      try {
        return await this.#look();
      } catch (error) {
        if (tries === lookTries) return this.#end(error as Error);
        // How far it came is not known.
        for (const node of this.#nodes.values()) this.#deaf.add(node);
        await this.#pause();
      }
    }
  }

  async #look(): Promise<void> {
    this.#leaving.clear();
    const before = this.#owners;
    const open = (host: string, port: number) => ClusterNode.open(this.#urlOf(host, port));
    const { nodes, owners: found } = await survey({ nodes: this.#nodes, ranges: [], before, open });
    // Where nobody says that it is there, it may be about to be taken over.
    const owners = found.map((owner, index) => owner ?? (before[index] as ClusterNode));
    const used = new Set(owners);
    const known = this.#nodes;
    this.#nodes = new Map([...nodes].filter(([, node]) => used.has(node)));
    if (this.#isEnded) {
      for (const node of nodes.values()) node.destroy();
      return;
    }
    for (const [id, node] of nodes) {
      if (!used.has(node)) node.destroy();
      else if (!known.has(id)) this.#follow(node);
    }
    const moved = owners.flatMap((owner, index) => (owner === before[index] ? [] : [index]));
    // The client may not have told of all subscriptions that ended, where any did.
    const losers = new Set([...moved.map((index) => before[index] as ClusterNode), ...this.#deaf]);
    this.#deaf.clear();
    if (losers.size === 0) return;
    this.#owners = owners;
    await this.#listenAgain(moved, losers);
    this.#tellMoved();
  }

  /** At once, but not more often than every second while one slot key after the other moves. */
  #tellMoved(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    const waitMs = Math.max(0, this.#toldMs + tellMs - performance.now());
    this.#parts.clock.after(waitMs, () => {
      this.#isTelling = false;
      this.#toldMs = performance.now();
      if (!this.#isEnded) this.onMoved();
    });
  }

  #listeningAt(node: ClusterNode, isWanted: (index: number) => boolean = () => true): Listening {
    return new Map([...this.#listening].filter(([index]) => this.#owners[index] === node && isWanted(index)));
  }

  async #listenAgain(moved: readonly number[], losers: ReadonlySet<ClusterNode>): Promise<void> {
    const all = new Set(moved);
    const asked: Promise<void>[] = [];
    for (const node of this.#nodes.values()) {
      if (losers.has(node)) asked.push(node.replaceListener(() => this.#listeningAt(node)));
      else
        asked.push(
          subscribeAll(
            node,
            this.#listeningAt(node, (index) => all.has(index)),
          ),
        );
    }
    await settled(asked);
  }
}

/** Settles when all have; rejects as the first of them. */
async function settled(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}
