/** Connections that do nothing. */
import type { Workload } from "../results.ts";
import { onStage, publishers, subscribers } from "./stage.ts";
import { overWebSocket } from "./who.ts";

const tag = "live/idle";
/** What tagcast accepts by default where a process may hold 20,000 descriptors, but for a few. */
const connectionsFull = 18_900;
const connectionsMin = 200;
const cycles = 3;
/** Until what is no longer used was given back. */
const settleMs = 2000;
const settleMsMin = 100;

export const idle: Workload = {
  name: "idle",
  about: `18,900 connections to one server, authenticated and with one subscription each: as many as tagcast accepts by
default where a process may hold 20,000 descriptors. Three times all of them connect, one message is published that every one must get, and
all leave. *Bytes per connection* is what the resident memory of the server grows by the first time; *kept* is what it has more
after the third time than after the first, when all have left: a leak would show there.`,
  cases: [
    {
      name: "18,900 connections, one subscription each",
      peers: overWebSocket,
      smoke: true,
      sample: (context) =>
        onStage(context, { connections: connectionsFull + 1 }, async (stage) => {
          const connections = Math.round(stage.scaled(connectionsFull, connectionsMin));
          const settle = () => Bun.sleep(stage.scaled(settleMs, settleMsMin));
          await stage.connect(publishers, 1, []);
          const run = {
            tags: [[tag]],
            pace: { inFlight: 1 },
            receivers: connections,
            messages: 1,
            seconds: 30,
            quietMs: 20_000,
          };
          await settle();
          const before = stage.residentBytes;
          const open: number[] = [];
          const left: number[] = [];
          for (let cycle = 1; ; cycle++) {
            await stage.connect(subscribers, connections, [[tag]]);
            await settle();
            open.push(stage.residentBytes);
            const measured = await stage.count(run);
            if (cycle === cycles) {
              const sample = stage.sample(measured);
              await stage.leave(subscribers);
              await settle();
              left.push(stage.residentBytes);
              const bytesPerConnection = ((open[0] ?? 0) - before) / connections;
              const bytesKeptPerConnection = Math.max(0, (left.at(-1) ?? 0) - (left[0] ?? 0)) / connections;
              return { ...sample, figures: { bytesPerConnection, bytesKeptPerConnection } };
            }
            await stage.leave(subscribers);
            await settle();
            left.push(stage.residentBytes);
          }
        }),
    },
  ],
};
