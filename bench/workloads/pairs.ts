/** Many tags with one publisher and one subscriber each. */
import type { RunCommand } from "../load/commands.ts";
import type { Case, Workload } from "../results.ts";
import { grouped, onStage, publishers, subscribers } from "./stage.ts";
import { overWebSocket } from "./who.ts";

function pairs(count: number, pace: RunCommand["pace"], smoke = false): Case {
  const rhythm = "inFlight" in pace ? `${pace.inFlight} in flight` : `${grouped(pace.perSecond)} msg/s`;
  return {
    name: `${grouped(count)} pairs, 64 B, ${rhythm}`,
    peers: overWebSocket,
    smoke,
    sample: (context) =>
      onStage(context, { connections: 2 * count }, async (stage) => {
        const tags = Array.from({ length: count }, (_, i) => [`live/pair/${i}`]);
        await stage.connect(subscribers, count, tags);
        await stage.connect(publishers, count, []);
        return stage.sample(await stage.measure({ tags, pace, receivers: 1 }));
      }),
  };
}

export const pairsOfClients: Workload = {
  name: "pairs",
  about: `Each pair has a tag of its own: one client publishes to it, the other is subscribed. The publishers take turns, so
that no two messages of a burst have a connection or a tag in common.`,
  cases: [pairs(1000, { inFlight: 512 }), pairs(1000, { perSecond: 10_000 }), pairs(100, { inFlight: 512 }, true)],
};
