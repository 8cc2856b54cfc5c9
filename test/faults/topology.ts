/** The Redis that joins the instances, in one of the ways that it may be run. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Proxy } from "../harness/proxy.ts";
import { RedisCluster } from "../harness/redis-cluster.ts";
import { RedisSentinel } from "../harness/redis-sentinel.ts";
import { RedisServer } from "../harness/redis.ts";

export const topologyNames = ["standalone", "sentinel", "cluster"] as const;
export type TopologyName = (typeof topologyNames)[number];

export interface Topology extends AsyncDisposable {
  readonly name: TopologyName;
  /** What `--redis` is for an instance. */
  url(instance: number): string;
  /** Who is the master, or the masters: it changes where one takes over from another. */
  leaders(): Promise<string>;
}

/** Every write is on disk before it is answered: what was acknowledged outlives a kill. */
const durable = ["--appendonly", "yes", "--appendfsync", "always"];

/** One server, and a proxy between it and each instance. */
export class Standalone implements Topology {
  readonly name = "standalone";
  readonly redis: RedisServer;
  readonly proxies: readonly Proxy[];

  private constructor(redis: RedisServer, proxies: readonly Proxy[]) {
    this.redis = redis;
    this.proxies = proxies;
  }

  static async start(instances: number): Promise<Standalone> {
    const redis = await RedisServer.start({ config: durable });
    return new Standalone(
      redis,
      Array.from({ length: instances }, () => new Proxy(redis.port)),
    );
  }

  url(instance: number): string {
    return `redis://127.0.0.1:${this.proxies[instance]!.port}`;
  }

  leaders(): Promise<string> {
    return Promise.resolve("");
  }

  /** Removes what it wrote. */
  async forget(): Promise<void> {
    for (const name of await readdir(this.redis.folder)) {
      await rm(join(this.redis.folder, name), { recursive: true, force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.proxies) proxy[Symbol.dispose]();
    await this.redis[Symbol.asyncDispose]();
  }
}

export class Sentinels implements Topology {
  readonly name = "sentinel";
  readonly redis: RedisSentinel;

  private constructor(redis: RedisSentinel) {
    this.redis = redis;
  }

  static async start(): Promise<Sentinels> {
    return new Sentinels(await RedisSentinel.start());
  }

  url(): string {
    return `redis+sentinel://${this.redis.addresses.join(",")}/${this.redis.name}`;
  }

  async leaders(): Promise<string> {
    return `${(await this.redis.master()).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.redis[Symbol.asyncDispose]();
  }
}

/** Three masters, each with a replica. */
export class Cluster implements Topology {
  readonly name = "cluster";
  readonly redis: RedisCluster;

  private constructor(redis: RedisCluster) {
    this.redis = redis;
  }

  static async start(): Promise<Cluster> {
    return new Cluster(await RedisCluster.start());
  }

  url(): string {
    return this.redis.urls.join(",");
  }

  async leaders(): Promise<string> {
    return (await this.redis.masters()).map(({ port }) => port).join(" ");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.redis[Symbol.asyncDispose]();
  }
}

export async function startTopology(name: TopologyName, instances: number): Promise<Standalone | Sentinels | Cluster> {
  switch (name) {
    case "standalone":
      return await Standalone.start(instances);
    case "sentinel":
      return await Sentinels.start();
    case "cluster":
      return await Cluster.start();
  }
}
