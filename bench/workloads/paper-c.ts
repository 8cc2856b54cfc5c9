/** The measurement of a paper (W. Cao et al., 2017), with more connections than it had. */
import type { Case, Workload } from "../results.ts";
import { grouped, onStage, publishers, subscribers } from "./stage.ts";
import { control, tagcast } from "./who.ts";

const sensors = Array.from({ length: 50 }, (_, i) => `live/sensor/${i}`);
const sensorsEach = 5;
/** Each sensor is pushed once in it. */
const intervalSeconds = 1;
const payloadBytes = 128;
const opening = 500;

/** Client i watches each tenth sensor, from the (i mod 10)th on: every sensor is watched by a tenth of the clients. */
const apart = sensors.length / sensorsEach;
const subscriptions = Array.from({ length: apart }, (_, i) => sensors.filter((_, sensor) => sensor % apart === i));

function connections(full: number, smoke = false): Case {
  return {
    name: `${grouped(full)} connections`,
    peers: [tagcast, control, "nats", "socket.io"],
    smoke,
    sample: (context) =>
      onStage(context, { connections: full + 1 }, async (stage) => {
        const clients = apart * Math.round(stage.scaled(full, apart) / apart);
        const opened = await stage.connect(subscribers, clients, subscriptions, { opening });
        await stage.connect(publishers, 1, []);
        const pace = { perSecond: sensors.length / intervalSeconds };
        const run = { tags: [sensors], pace, receivers: clients / apart, payloadBytes };
        await stage.count({ ...run, seconds: stage.scaled(2, 0.3) });
        const measured = await stage.count({ ...run, seconds: stage.scaled(10, 0.6) });
        const { tally } = measured;
        return stage.sample(measured, {
          responseMs: tally.latency.mean / 1000,
          errorPercent: (100 * (tally.lost + tally.told + tally.failures.length)) / Math.max(1, tally.expected),
          subscribedMs: opened.mean / 1000,
        });
      }),
  };
}

export const paperC: Workload = {
  name: "paper-c",
  about: `Each client is subscribed to 5 of 50 sensors, and a reading of each sensor is pushed once a second, 128 B. *Response*
is the mean time from publish to arrival, and the errors are messages that did not arrive; *subscribed* is the mean time from the
beginning of a client's handshake to the confirmation of its last subscription, with 500 at it at once.`,
  cases: [connections(500, true), ...[750, 900, 1200, 1500, 3000, 5000, 10_000].map((count) => connections(count))],
};
