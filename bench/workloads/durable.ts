/** Publishes that are kept: in memory, and on disk. */
import type { Case, Workload } from "../results.ts";
import { grouped, onStage, publishers, subscribers } from "./stage.ts";
import { keeping } from "./who.ts";

function durable(tags: number, inFlight: number, smoke = false): Case {
  return {
    name: `${grouped(tags)} ${tags === 1 ? "tag" : "tags"}, 64 B, ${inFlight} in flight`,
    peers: keeping,
    smoke,
    sample: (context) =>
      onStage(context, { connections: 2 * tags }, async (stage) => {
        const all = Array.from({ length: tags }, (_, i) => [`log/kept/${i}`]);
        await stage.connect(subscribers, tags, all);
        await stage.connect(publishers, tags, []);
        return stage.sample(await stage.measure({ tags: all, pace: { inFlight }, receivers: 1, acknowledge: true }));
      }),
  };
}

export const durablePublishes: Workload = {
  name: "durable",
  about: `Publishes with an acknowledgement to tags that keep a log, each tag with one publisher and one subscriber: kept in memory,
on disk (a power cut takes nothing that was acknowledged), and on disk without waiting for it. What is in flight is also
what one sync of the disk can be shared by: with one message in flight every message waits for a sync of its own. Each message has one
delivery, so deliveries per second are publishes per second, and CPU per delivery is CPU per publish; it includes what the kernel
does for the disk. *mosquitto durable* has published when it answers, not when it has saved: of its publishes per second a
power cut may take those since the last time it saved.`,
  byCase: true,
  cases: [durable(1, 1), durable(1, 512), durable(100, 64), durable(100, 512, true)],
};
