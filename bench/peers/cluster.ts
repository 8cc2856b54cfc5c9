/** tagcast with a Redis: one instance, two that serve different clients, and several processes on one port. */
import type { Part, Peer, PeerOptions, RunningPeer } from "./peer.ts";
import { setupCommand, sparePort } from "./processes.ts";
import { redisVersion, startRedis } from "./redis.ts";
import { startTagcast, tagcast } from "./tagcast.ts";

/** Parts of the peers below. In one instance the same one sends and receives. */
export const partNames = { redis: "redis", sender: "sender", receiver: "receiver" } as const;

const processes = 2;

export const tagcastRedis = peer({
  name: "tagcast redis",
  about: "The same with `--redis`: one instance, and a Redis without persistence of which it is the only client.",
  instances: (url) => [{ name: partNames.sender, settings: ["--redis", url] }],
});

export const tagcastCluster = peer({
  name: "tagcast cluster",
  about: "Two instances joined by such a Redis: publishers are connected to one, subscribers to the other.",
  instances: (url) => [partNames.sender, partNames.receiver].map((name) => ({ name, settings: ["--redis", url] })),
});

export const tagcastProcesses = peer({
  name: "tagcast processes",
  about: `${processes} processes on one port (\`--reuse-port\`) joined by such a Redis: the kernel deals connections out among them.`,
  instances(url) {
    const settings = ["--redis", url, "--reuse-port", "--port", `${sparePort()}`];
    return Array.from({ length: processes }, (_, i) => ({ name: `process ${i + 1}`, settings }));
  },
});

interface Instance {
  readonly name: string;
  readonly settings: readonly string[];
}

interface Joined extends Pick<Peer, "name" | "about"> {
  readonly instances: (url: string) => readonly Instance[];
}

function peer({ name, about, instances }: Joined): Peer {
  return {
    name,
    about,
    protocol: tagcast.protocol,
    abilities: tagcast.abilities,
    install: setupCommand,
    async version() {
      const [own, redis] = [await tagcast.version(), redisVersion()];
      return own === null || redis === null ? null : `${own}, Redis ${redis}`;
    },
    start: async (options) => await startAll(options, instances),
  };
}

async function startAll(options: PeerOptions, instances: Joined["instances"]): Promise<RunningPeer> {
  await using starting = new AsyncDisposableStack();
  const redis = await startRedis();
  starting.defer(() => redis.stop());
  const parts: Part[] = [];
  let first: RunningPeer | null = null;
  for (const { name, settings } of instances(`redis://${redis.host}:${redis.port}`)) {
    const running = await startTagcast(options, settings);
    starting.defer(() => running.stop());
    parts.push(...running.parts.map((part) => ({ ...part, name })));
    first ??= running;
  }
  if (first === null) throw new Error("A cluster has an instance at least");
  const { host, port } = first;
  // Instances before the Redis that they are connected to.
  const started = starting.move();
  const all = [...parts, ...redis.parts.map((part) => ({ ...part, name: partNames.redis }))];
  return { host, port, parts: all, stop: () => started.disposeAsync() };
}
