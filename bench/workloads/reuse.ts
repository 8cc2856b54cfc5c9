/** What it saves to keep a connection. */
import type { Workload } from "../results.ts";
import { type Measured, onStage, publishers, type Stage, subscribers } from "./stage.ts";
import { overAnything } from "./who.ts";

const tag = "live/reuse";
const payloadBytes = 64;
const messagesMax = 20_000;

export const reuse: Workload = {
  name: "reuse",
  about: `One message after the other to one subscriber, each only once the one before it was acknowledged and delivered: on a
connection that stays open, and on one that is opened for each (connect, authenticate, publish, leave). *Per message* is from its
beginning to its end (mean). Mosquitto looks at new WebSocket connections ten times a second where nothing else wakes it.`,
  cases: [
    {
      name: "a message on an open connection",
      peers: overAnything,
      sample: (context) =>
        onStage(context, { connections: 2 }, async (stage) => {
          await stage.connect(subscribers, 1, [[tag]]);
          await stage.connect(publishers, 1, []);
          const acknowledge = stage.can("acknowledgements");
          const run = { tags: [[tag]], pace: { inFlight: 1 }, receivers: 1, acknowledge, payloadBytes };
          return sample(stage, await stage.measure(run));
        }),
    },
    {
      name: "a connection for each message",
      peers: overAnything,
      smoke: true,
      sample: (context) =>
        onStage(context, { connections: 2 }, async (stage) => {
          await stage.connect(subscribers, 1, [[tag]]);
          const publish = { tag, payloadBytes, acknowledge: stage.can("acknowledgements") };
          const seconds = stage.scaled(3, 0.2);
          const churn = { cycles: messagesMax, seconds, concurrency: 1, publish, receivers: 1 };
          await stage.churn({ ...churn, seconds: seconds / 3 });
          return sample(stage, await stage.churn(churn));
        }),
    },
  ],
};

function sample(stage: Stage, measured: Measured) {
  const { published, seconds } = measured.tally;
  return stage.sample(measured, {
    perMessageMs: (seconds * 1000) / published,
    cpuPerMessageNs: (measured.serverSeconds * 1e9) / published,
  });
}
