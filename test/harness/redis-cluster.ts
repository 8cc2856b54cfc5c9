/** A Redis Cluster: masters, each with a replica, on spare ports; and what operators do to one. */
import { ask, askAll, sparePort } from "./redis-asking.ts";
import { RedisServer, type RedisTls } from "./redis.ts";

const slotCount = 16_384;
const settleMs = 40_000;
/** Silence after which a node is taken for dead, milliseconds. */
const nodeTimeoutMs = 2000;
/** A node gives up a failover that it was asked for after five seconds, and tells nobody. */
const failoverMs = 6000;

/** What a node tells of another. */
export interface NodeStatus {
  readonly id: string;
  readonly port: number;
  readonly isMaster: boolean;
  readonly masterId: string | null;
  readonly failed: boolean;
  /** Slots it serves. */
  readonly slots: number;
}

export interface RedisClusterOptions {
  readonly masters?: number;
  readonly replicasEach?: number;
  /** More of the configuration of each server. */
  readonly config?: readonly string[];
  readonly tls?: RedisTls;
}

export class RedisCluster implements AsyncDisposable {
  /** Masters first, as it was made. */
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  /** Settles once every node takes the cluster for whole. */
  static async start(options: RedisClusterOptions = {}): Promise<RedisCluster> {
    const { masters = 3, replicasEach = 1, config = [], tls } = options;
    const secured = tls === undefined ? {} : { tls };
    const bus = tls === undefined ? [] : ["--tls-cluster", "yes"];
    const busPorts = new Map<RedisServer, number>();
    const starting = Array.from({ length: masters * (1 + replicasEach) }, async () => {
      const busPort = await sparePort();
      const server = await RedisServer.start({ config: [...clusterConfig(busPort), ...bus, ...config], ...secured });
      busPorts.set(server, busPort);
      return server;
    });
    const cluster = new RedisCluster(await Promise.all(starting));
    try {
      await cluster.#join(busPorts, masters);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  get urls(): readonly string[] {
    return this.servers.map(({ url }) => url);
  }

  /** What the node that answers first knows of all. */
  async nodes(): Promise<readonly NodeStatus[]> {
    const running = this.servers.filter(({ pid }) => pid !== 0);
    return await Promise.any(running.map(viewOf));
  }

  /**
   * The servers that are masters now. One that serves no slot has been replaced, whatever others may still take it for; and
   * what has just been done to the cluster is known to all only after `whole()`.
   */
  async masters(): Promise<readonly RedisServer[]> {
    const serving = (await this.nodes()).filter(({ isMaster, failed, slots }) => isMaster && !failed && slots > 0);
    const ports = new Set(serving.map(({ port }) => port));
    return this.servers.filter(({ port }) => ports.has(port));
  }

  async replicasOf(master: RedisServer): Promise<readonly RedisServer[]> {
    const nodes = await this.nodes();
    const id = idAt(nodes, master.port);
    const ports = new Set(nodes.filter(({ masterId, failed }) => masterId === id && !failed).map(({ port }) => port));
    return this.servers.filter(({ port }) => ports.has(port));
  }

  /** A replica of a master, once the others know of one: news of what took over before may be on its way. */
  async replicaOf(master: RedisServer): Promise<RedisServer> {
    let found: RedisServer | undefined;
    await until(`a replica of port ${master.port} is known`, async () => {
      [found] = await this.replicasOf(master);
      return found !== undefined;
    });
    return found!;
  }

  /**
   * A replica takes over from its master in order: nothing is lost. Settles once all nodes know. A failover that a busy
   * machine is too slow for is given up, and nothing has happened: it is asked for again.
   */
  async handOver(replica: RedisServer): Promise<void> {
    let askedMs = -Infinity;
    await until(`port ${replica.port} is a master`, async () => {
      if (/role:master/.test(String(await ask(replica.port, "INFO", "replication")))) return true;
      if (performance.now() - askedMs > failoverMs && (await this.#isWhole())) {
        await ask(replica.port, "CLUSTER", "FAILOVER");
        askedMs = performance.now();
      }
      return false;
    });
    await this.whole();
  }

  /** Waits until all slots are served while `gone` is away. */
  async tookOver(gone: RedisServer): Promise<void> {
    await until(`another node serves the slots of ${gone.port}`, async () => {
      const nodes = await this.nodes();
      const served = nodes.filter(({ port, failed }) => port !== gone.port && !failed);
      return served.reduce((sum, { slots }) => sum + slots, 0) === slotCount;
    });
  }

  /** Waits until every node is up, all agree on who serves what and who follows whom, and masters feed their replicas. */
  async whole(): Promise<void> {
    await until("the cluster is whole", () => this.#isWhole());
  }

  /** Slots of a master that hold keys, at most `limit`. */
  async slotsInUse(master: RedisServer, limit = 1): Promise<readonly number[]> {
    const keys = (await ask(master.port, "KEYS", "*")) as string[];
    const found = new Set<number>();
    for (const key of keys) {
      found.add(Number(await ask(master.port, "CLUSTER", "KEYSLOT", key)));
      if (found.size >= limit) break;
    }
    return [...found];
  }

  /** Moves a slot with its keys, as `redis-cli --cluster reshard` does. `pauseMs`: between its steps, for it to be met half done. */
  async migrate(slot: number, from: RedisServer, to: RedisServer, pauseMs = 0): Promise<void> {
    const [fromId, toId] = await Promise.all(
      [from, to].map(async ({ port }) => String(await ask(port, "CLUSTER", "MYID"))),
    );
    await ask(to.port, "CLUSTER", "SETSLOT", `${slot}`, "IMPORTING", fromId!);
    await ask(from.port, "CLUSTER", "SETSLOT", `${slot}`, "MIGRATING", toId!);
    for (;;) {
      const keys = (await ask(from.port, "CLUSTER", "GETKEYSINSLOT", `${slot}`, "10")) as string[];
      if (keys.length === 0) break;
      await ask(from.port, "MIGRATE", "127.0.0.1", `${to.port}`, "", "0", "5000", "KEYS", ...keys);
      if (pauseMs > 0) await Bun.sleep(pauseMs);
    }
    await ask(to.port, "CLUSTER", "SETSLOT", `${slot}`, "NODE", toId!);
    await ask(from.port, "CLUSTER", "SETSLOT", `${slot}`, "NODE", toId!);
    for (const other of await this.masters()) {
      if (other !== from && other !== to) await ask(other.port, "CLUSTER", "SETSLOT", `${slot}`, "NODE", toId!);
    }
  }

  /** A slot without keys leaves its master and is back before anybody can look: the master has ended its subscriptions. */
  async slip(slot: number): Promise<void> {
    type Range = readonly [from: number, to: number, master: readonly [host: string, port: number, id: string]];
    const ranges = (await ask(this.servers[0]!.port, "CLUSTER", "SLOTS")) as readonly Range[];
    const [, , [, port, id]] = ranges.find(([from, to]) => from <= slot && slot <= to)!;
    const [, , [, , other]] = ranges.find(([, , [, , one]]) => one !== id)!;
    // Sent as one, so nothing comes between.
    await askAll(
      port,
      [other, id].map((holder) => ["CLUSTER", "SETSLOT", `${slot}`, "NODE", holder]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }

  async #join(busPorts: ReadonlyMap<RedisServer, number>, masters: number): Promise<void> {
    const [first] = this.servers;
    for (const [i, server] of this.servers.entries()) {
      await ask(server.port, "CLUSTER", "SET-CONFIG-EPOCH", `${i + 1}`);
      if (i > 0) await ask(server.port, "CLUSTER", "MEET", "127.0.0.1", `${first!.port}`, `${busPorts.get(first!)}`);
      if (i >= masters) continue;
      const range = [Math.floor((slotCount * i) / masters), Math.floor((slotCount * (i + 1)) / masters) - 1];
      await ask(server.port, "CLUSTER", "ADDSLOTSRANGE", ...range.map(String));
    }
    await until("all nodes have met", async () =>
      (await this.#known()).every((count) => count === this.servers.length),
    );
    for (const [i, server] of this.servers.entries()) {
      if (i < masters) continue;
      const id = String(await ask(this.servers[i % masters]!.port, "CLUSTER", "MYID"));
      await ask(server.port, "CLUSTER", "REPLICATE", id);
    }
    await this.whole();
  }

  async #known(): Promise<number[]> {
    return await Promise.all(this.servers.map(async (server) => (await viewOf(server)).length));
  }

  async #isWhole(): Promise<boolean> {
    const views = await Promise.all(this.servers.map(viewOf));
    if (views.some((view) => view.some(({ failed }) => failed))) return false;
    if (new Set(views.map(summaryOf)).size > 1) return false;
    const each = this.servers.map(async ({ port }) => {
      const info = String(await ask(port, "CLUSTER", "INFO"));
      const replication = String(await ask(port, "INFO", "replication"));
      const replicas = views[0]!.filter(({ masterId }) => masterId === idAt(views[0]!, port)).length;
      const online = replication.match(/state=online/g)?.length ?? 0;
      const isLinked = !/role:slave/.test(replication) || /master_link_status:up/.test(replication);
      return isLinked && online === replicas && info.includes("cluster_state:ok");
    });
    return (await Promise.all(each)).every(Boolean);
  }
}

/** What a node knows of all. */
async function viewOf({ port }: RedisServer): Promise<readonly NodeStatus[]> {
  return parseNodes(String(await ask(port, "CLUSTER", "NODES")));
}

function idAt(view: readonly NodeStatus[], port: number): string | undefined {
  return view.find((node) => node.port === port)?.id;
}

/** The same for nodes that know the same of who is what. */
function summaryOf(view: readonly NodeStatus[]): string {
  return view
    .map(({ id, isMaster, masterId, slots }) => `${id} ${isMaster} ${masterId} ${slots}`)
    .toSorted()
    .join("; ");
}

function clusterConfig(busPort: number): string[] {
  return [
    ...["--cluster-enabled", "yes", "--cluster-port", `${busPort}`, "--cluster-config-file", "nodes.conf"],
    ...["--cluster-node-timeout", `${nodeTimeoutMs}`, "--cluster-require-full-coverage", "yes"],
    ...["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"],
  ];
}

/** The answer of CLUSTER NODES: one node a line. */
export function parseNodes(text: string): NodeStatus[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [id = "", address = "", flags = "", masterId = "", , , , link = "", ...ranges] = line.split(" ");
      const port = Number(/:(\d+)@/.exec(address)?.[1]);
      const isMaster = flags.includes("master");
      const failed = /\bfail\b/.test(flags) || (link !== "connected" && !flags.includes("myself"));
      const slots = ranges
        .filter((range) => !range.startsWith("["))
        .map((range) => range.split("-").map(Number))
        .reduce((sum, [low = 0, high = low]) => sum + high - low + 1, 0);
      return { id, port, isMaster, masterId: masterId === "-" ? null : masterId, failed, slots };
    });
}

async function until(what: string, holds: () => Promise<boolean>, ms: number = settleMs): Promise<void> {
  const deadline = performance.now() + ms;
  let reason: unknown = null;
  for (;;) {
    try {
      if (await holds()) return;
    } catch (error) {
      reason = error;
    }
    if (performance.now() > deadline) throw new Error(`Not within ${ms} ms: ${what}`, { cause: reason });
    await Bun.sleep(20);
  }
}
