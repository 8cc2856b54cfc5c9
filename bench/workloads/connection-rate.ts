/** Connections that come and go. */
import type { Case, Workload } from "../results.ts";
import { onStage } from "./stage.ts";
import { overAnything } from "./who.ts";

const cyclesMax = 20_000;
const concurrency = 32;

function rate(name: string, subscriptions: readonly string[], smoke = false): Case {
  return {
    name,
    peers: overAnything,
    smoke,
    sample: (context) =>
      onStage(context, { connections: concurrency }, async (stage) => {
        const seconds = stage.scaled(3, 0.2);
        const cycles = Math.round(stage.scaled(cyclesMax, 200));
        await stage.churn({ cycles: Math.ceil(cycles / 4), seconds: seconds / 2, concurrency, subscriptions });
        const measured = await stage.churn({ cycles, seconds, concurrency, subscriptions });
        const { published, seconds: taken, latency } = measured.tally;
        return stage.sample(measured, {
          connectionsPerSecond: published / taken,
          cpuPerConnectionNs: (measured.serverSeconds * 1e9) / published,
          cycleMs: latency.p50 / 1000,
        });
      }),
  };
}

export const connectionRate: Workload = {
  name: "connection-rate",
  about: `32 at a time connect, authenticate where the peer asks for it, and leave with a close frame; then the same with one
subscription that is confirmed. *Cycle* is how long one takes (median). Mosquitto looks at new WebSocket connections
ten times a second where nothing else wakes it.`,
  cases: [rate("connect and leave", [], true), rate("connect, subscribe and leave", ["live/rate"])],
};
