/** What it costs to be several: instances that a Redis joins. */
import { partNames } from "../peers/cluster.ts";
import type { Case, Outcome, Workload } from "../results.ts";
import { grouped, type Measured, onStage, publishers, type Stage, subscribers } from "./stage.ts";
import { joined } from "./who.ts";

/** Connections that share many tags. */
const connectionsMany = 10;
const manyTags = 10_000;
const perFrame = 16;

interface Joint {
  readonly kind: "live" | "log";
  readonly tags: number;
  readonly receivers: number;
  readonly perFrame: number;
  readonly inFlight: number;
  readonly smoke?: boolean;
}

function joint({ kind, tags: count, receivers, perFrame, inFlight, smoke = false }: Joint): Case {
  const what = count === 1 ? `1→${grouped(receivers)}` : `${grouped(count)} tags`;
  const gathered = perFrame === 1 ? "" : `, ${perFrame} publishes per frame`;
  return {
    name: `${kind === "log" ? "log-backed" : "live"}, ${what}, 64 B, ${grouped(inFlight)} in flight${gathered}`,
    peers: joined,
    smoke,
    sample: (context) =>
      onStage(context, { connections: 2 * connectionsMany }, async (stage) => {
        const tags = Array.from({ length: count }, (_, i) => `${kind}/joint/${i}`);
        // Of several connections each has its own share of the tags.
        const clients = Math.min(count, connectionsMany);
        const shares = Array.from({ length: clients }, (_, i) => tags.filter((_, tag) => tag % clients === i));
        const listening = count === 1 ? receivers : clients;
        await stage.connect(subscribers, listening, shares, { port: stage.portOf(partNames.receiver), opening: 10 });
        await stage.connect(publishers, clients, [], { port: stage.portOf(partNames.sender) });
        const pace = { inFlight };
        const acknowledge = kind === "log";
        return jointSample(stage, await stage.measure({ tags: shares, pace, receivers, acknowledge, perFrame }));
      }),
  };
}

/** A sample with what each part of the peer has used. */
export function jointSample(stage: Stage, measured: Measured): Outcome {
  const { tally, partSeconds } = measured;
  const { published, delivered, seconds, driverSeconds } = tally;
  const redis = partSeconds.get(partNames.redis) ?? null;
  const receiver = partSeconds.get(partNames.receiver) ?? null;
  const instances = measured.serverSeconds - (redis ?? 0) - (receiver ?? 0);
  const nanos = (used: number, count: number) => (used * 1e9) / Math.max(1, count);
  const busy = (used: number) => (100 * used) / seconds;
  return stage.sample(measured, {
    messagesPerSecond: published / seconds,
    senderCpuPerMessageNs: nanos(instances, published),
    ...(receiver !== null && { receiverCpuPerDeliveryNs: nanos(receiver, delivered) }),
    ...(redis !== null && { redisCpuPerMessageNs: nanos(redis, published) }),
    senderBusyPercent: busy(instances),
    ...(receiver !== null && { receiverBusyPercent: busy(receiver) }),
    ...(redis !== null && { redisBusyPercent: busy(redis) }),
    driverBusyPercent: busy(driverSeconds),
  });
}

const hot = { tags: 1, receivers: 1, perFrame, inFlight: 4096 };
const many = { tags: manyTags, receivers: 1, perFrame, inFlight: 4096 };

export const cluster: Workload = {
  name: "cluster",
  about: `What it costs to be several: *tagcast* is one instance without Redis, *tagcast redis* the same doing the same work
with a Redis, *tagcast cluster* two instances that a Redis joins, publishers at one and subscribers at the other. Live tags, and
tags with a log, where every publish is acknowledged once Redis has it. One tag, with one publisher; or 10,000 tags of ten
publishers and ten subscribers, published to in turn, so that no two messages of a batch share a tag. *Sender* is the instance that
is published to: its CPU time, by messages published. In *tagcast cluster* that is all and only what sending takes; where there
is one instance it delivers as well, so what Redis adds to sending is *tagcast redis* less *tagcast*, the receipt of its own messages
by way of Redis included. *Receiver*: the CPU time of the other instance, by messages delivered. *Busy*: CPU time by the
time that the run took, in parts of one core; *driver* is the load process. All of them share the cores of the machine, and
messages in flight are bounded, so whoever waits for a core holds up the others.`,
  byCase: true,
  cases: [
    joint({ ...hot, kind: "live", perFrame: 64, inFlight: 32_768 }),
    joint({ ...hot, kind: "live", receivers: 100, perFrame: 1, inFlight: 512 }),
    joint({ ...hot, kind: "log", smoke: true }),
    joint({ ...many, kind: "live" }),
    joint({ ...many, kind: "live", perFrame: 1, inFlight: 512 }),
    joint({ ...many, kind: "log" }),
  ],
};
