/** The Redis broker keeps the contract of brokers on a Redis Cluster of three masters. */
import { afterAll } from "bun:test";
import { brokerContract } from "../../contract/broker.ts";
import { comparisonContract } from "../../contract/broker/comparison.ts";
import { RedisCluster } from "../../harness/redis-cluster.ts";
import { contractOpener } from "../../harness/redis-broker.ts";

const cluster = await RedisCluster.start({ replicasEach: 0 });
afterAll(() => cluster[Symbol.asyncDispose]());

async function flush(): Promise<void> {
  await Promise.all(cluster.servers.map((server) => server.flush()));
}

// The others are asked for.
const [url = ""] = cluster.urls;
const opener = (slotLevels: number) => contractOpener({ url, slotLevels, flush });
brokerContract("The Redis broker on a Redis Cluster", opener(1));
brokerContract("The Redis broker on a Redis Cluster with slots of two levels", opener(2));
comparisonContract("The Redis broker on a Redis Cluster", opener(1));
