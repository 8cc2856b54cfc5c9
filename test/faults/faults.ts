/** What can go wrong, each as an object that makes it so and ends it, and says what is allowed to be lost by it. */
import type { Random } from "../harness/random.ts";
import { ask } from "../harness/redis-asking.ts";
import type { RedisServer } from "../harness/redis.ts";
import type { Instances } from "./instances.ts";
import type { Cluster, Sentinels, Standalone, Topology } from "./topology.ts";
import type { FaultTimes } from "./truth.ts";

export interface Stage<T extends Topology = Topology> {
  readonly topology: T;
  readonly instances: Instances;
  readonly times: FaultTimes;
  /** The instance that is hit, where the fault hits one. */
  readonly target: number;
  readonly random: Random;
}

/** Ends what was injected; settles once nothing is left of it but what tagcast makes of it. */
export type Heal = () => Promise<void> | void;

export interface Fault<T extends Topology = Topology> {
  readonly name: string;
  /** What it hits. */
  readonly scope: "redis" | "instance";
  /** True: acknowledged messages may be gone afterwards, and every subscription is told. */
  readonly isLossy: boolean;
  /**
   * True: of live-only tags something may be gone and nobody can say so: what an instance that is killed did not pass on, or
   * what was passed on by a master that did not know yet that it was one no more.
   */
  readonly isSilent?: true;
  /** How long it lasts in the short form, and at most in the long one; milliseconds. */
  readonly holdMs: number;
  readonly holdMaxMs: number;
  inject(stage: Stage<T>): Promise<Heal>;
}

const nothing: Heal = () => {};

const instanceFaults: readonly Fault[] = [
  {
    name: "instance killed",
    scope: "instance",
    isLossy: false,
    isSilent: true,
    holdMs: 1000,
    holdMaxMs: 3000,
    async inject({ instances, target }) {
      await instances.kill(target);
      return () => instances.run(target);
    },
  },
  {
    name: "instance restarted in order",
    scope: "instance",
    isLossy: false,
    holdMs: 0,
    holdMaxMs: 1000,
    async inject({ instances, target }) {
      await instances.terminate(target);
      return () => instances.run(target);
    },
  },
  {
    name: "instance paused",
    scope: "instance",
    isLossy: false,
    holdMs: 10_000,
    holdMaxMs: 10_000,
    inject({ instances, target }) {
      instances.pause(target);
      return Promise.resolve(() => instances.resume(target));
    },
  },
];

const standaloneFaults: readonly Fault<Standalone>[] = [
  {
    name: "scripts forgotten",
    scope: "redis",
    isLossy: false,
    holdMs: 0,
    holdMaxMs: 0,
    async inject({ topology }) {
      await ask(topology.redis.port, "SCRIPT", "FLUSH");
      return nothing;
    },
  },
  {
    name: "connections to Redis cut",
    scope: "redis",
    isLossy: false,
    holdMs: 0,
    holdMaxMs: 0,
    async inject({ topology, random }) {
      if (random.chance(0.5)) {
        await ask(topology.redis.port, "CLIENT", "KILL", "TYPE", "pubsub");
        await ask(topology.redis.port, "CLIENT", "KILL", "TYPE", "normal");
      } else for (const proxy of topology.proxies) proxy.drop();
      return nothing;
    },
  },
  {
    name: "instance cut from Redis",
    scope: "instance",
    isLossy: false,
    holdMs: 10_000,
    holdMaxMs: 10_000,
    inject({ topology, target, random }) {
      const proxy = topology.proxies[target]!;
      if (random.chance(0.5)) proxy.cut();
      else {
        proxy.hold("up");
        proxy.hold("down");
      }
      return Promise.resolve(() => {
        // What was held on its way comes too late to mean anything.
        proxy.drop();
        proxy.mend();
      });
    },
  },
  {
    name: "Redis slow",
    scope: "redis",
    isLossy: false,
    holdMs: 3000,
    holdMaxMs: 6000,
    inject({ topology, random }) {
      for (const proxy of topology.proxies) proxy.slow({ delayMs: random.between(100, 300) });
      return Promise.resolve(() => {
        for (const proxy of topology.proxies) proxy.mend();
      });
    },
  },
  {
    name: "Redis hung",
    scope: "redis",
    isLossy: false,
    holdMs: 5000,
    holdMaxMs: 8000,
    inject({ topology: { redis } }) {
      redis.pause();
      return Promise.resolve(() => redis.resume());
    },
  },
  {
    name: "Redis killed, restarted with data",
    scope: "redis",
    isLossy: false,
    holdMs: 1000,
    holdMaxMs: 6000,
    async inject({ topology: { redis } }) {
      await redis.kill();
      return () => redis.run();
    },
  },
  {
    name: "Redis killed, restarted empty",
    scope: "redis",
    isLossy: true,
    holdMs: 1000,
    holdMaxMs: 6000,
    async inject({ topology, times }) {
      const loss = times.lossy();
      await topology.redis.kill();
      await topology.forget();
      return async () => {
        await topology.redis.run();
        loss.end();
      };
    },
  },
  {
    name: "Redis emptied",
    scope: "redis",
    isLossy: true,
    holdMs: 0,
    holdMaxMs: 0,
    async inject({ topology, times }) {
      const loss = times.lossy();
      await topology.redis.flush();
      return loss.end;
    },
  },
];

const sentinelFaults: readonly Fault<Sentinels>[] = [
  {
    name: "Sentinel failover, master killed",
    scope: "redis",
    isLossy: true,
    holdMs: 0,
    holdMaxMs: 2000,
    async inject({ topology: { redis }, times }) {
      const loss = times.lossy();
      const master = await redis.master();
      await master.kill();
      await redis.promoted(master);
      return async () => {
        await redis.rejoin(master);
        loss.end();
      };
    },
  },
  {
    name: "Sentinel failover, master hung",
    scope: "redis",
    isLossy: true,
    isSilent: true,
    holdMs: 0,
    holdMaxMs: 2000,
    async inject({ topology: { redis }, times }) {
      const loss = times.lossy();
      const master = await redis.master();
      master.pause();
      await redis.promoted(master);
      return async () => {
        master.resume();
        await redis.demote(master);
        loss.end();
      };
    },
  },
];

async function randomMaster({ topology: { redis }, random }: Stage<Cluster>): Promise<RedisServer> {
  return random.pick(await redis.masters());
}

const clusterFaults: readonly Fault<Cluster>[] = [
  {
    name: "Cluster failover, master killed",
    scope: "redis",
    isLossy: true,
    holdMs: 0,
    holdMaxMs: 2000,
    async inject(stage) {
      const { redis } = stage.topology;
      const loss = stage.times.lossy();
      const master = await randomMaster(stage);
      await master.kill();
      await redis.tookOver(master);
      return async () => {
        await master.run();
        await redis.whole();
        loss.end();
      };
    },
  },
  {
    name: "Cluster failover, master hung",
    scope: "redis",
    isLossy: true,
    isSilent: true,
    holdMs: 0,
    holdMaxMs: 2000,
    async inject(stage) {
      const { redis } = stage.topology;
      const loss = stage.times.lossy();
      const master = await randomMaster(stage);
      master.pause();
      await redis.tookOver(master);
      return async () => {
        master.resume();
        await redis.whole();
        loss.end();
      };
    },
  },
  {
    name: "Cluster connections cut, scripts forgotten",
    scope: "redis",
    isLossy: false,
    holdMs: 0,
    holdMaxMs: 0,
    async inject(stage) {
      const { port } = await randomMaster(stage);
      await ask(port, "SCRIPT", "FLUSH");
      if (stage.random.chance(0.5)) await ask(port, "CLIENT", "KILL", "TYPE", "pubsub");
      if (stage.random.chance(0.5)) await ask(port, "CLIENT", "KILL", "TYPE", "normal");
      return nothing;
    },
  },
  {
    name: "Cluster master emptied",
    scope: "redis",
    isLossy: true,
    holdMs: 0,
    holdMaxMs: 0,
    async inject(stage) {
      const loss = stage.times.lossy();
      await ask((await randomMaster(stage)).port, "FLUSHALL");
      return loss.end;
    },
  },
  {
    name: "Cluster failover in order",
    scope: "redis",
    isLossy: false,
    holdMs: 0,
    holdMaxMs: 0,
    async inject(stage) {
      const { redis } = stage.topology;
      const [replica] = await redis.replicasOf(await randomMaster(stage));
      if (replica === undefined) throw new Error("A master without a replica");
      await redis.handOver(replica);
      return () => redis.whole();
    },
  },
  {
    name: "slot migrated",
    scope: "redis",
    isLossy: false,
    holdMs: 0,
    holdMaxMs: 0,
    async inject({ topology: { redis }, random }) {
      const [from, to] = random.shuffle(await redis.masters());
      const slots = await redis.slotsInUse(from!, 3);
      for (const slot of slots) await redis.migrate(slot, from!, to!, 100);
      return () => redis.whole();
    },
  },
];

/** Whether `topology` can have a fault is said by the table that it stands in. */
export function faultsOf({ name }: Topology): readonly Fault[] {
  switch (name) {
    case "standalone":
      return [...instanceFaults, ...(standaloneFaults as readonly Fault[])];
    case "sentinel":
      return [...instanceFaults, ...(sentinelFaults as readonly Fault[])];
    case "cluster":
      return [...instanceFaults, ...(clusterFaults as readonly Fault[])];
  }
}
