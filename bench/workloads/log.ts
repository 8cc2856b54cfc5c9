/** Tags that keep a log, beside tags that do not. */
import type { Case, Workload } from "../results.ts";
import { bytesName, grouped, onStage, publishers, subscribers } from "./stage.ts";
import { control, tagcast } from "./who.ts";

interface Logged {
  readonly name: string;
  readonly tag: string;
  readonly receivers: number;
  readonly payloadBytes: number;
  readonly acknowledge: boolean;
  readonly peers: readonly string[];
  readonly smoke?: boolean;
}

function logged({ name, tag, receivers, payloadBytes, acknowledge, peers, smoke = false }: Logged): Case {
  return {
    name: `${name}, 1→${grouped(receivers)}, ${bytesName(payloadBytes)}, 512 in flight`,
    peers,
    smoke,
    sample: (context) =>
      onStage(context, { connections: receivers + 1 }, async (stage) => {
        await stage.connect(subscribers, receivers, [[tag]]);
        await stage.connect(publishers, 1, []);
        const pace = { inFlight: 512 };
        return stage.sample(await stage.measure({ tags: [[tag]], payloadBytes, pace, receivers, acknowledge }));
      }),
  };
}

const live = { tag: "live/fan", acknowledge: false, peers: [tagcast, control] };
const liveAcknowledged = { tag: "live/fan", acknowledge: true, peers: [tagcast, control, "nats", "mosquitto", "ws"] };
const logBacked = { tag: "log/fan", acknowledge: true, peers: [tagcast] };

export const log: Workload = {
  name: "log",
  about: `What a log costs, kept in memory, and what acknowledgements cost: the same messages to a live-only tag, to a
live-only tag with an answer for each publish, and to a tag with a log, where the answer has the message's position. A
message is in flight until its answer has come as well. The peers beside it acknowledge as they do (MQTT with QoS 1 from
the publisher, NATS verbose); none of them keeps a log here.`,
  cases: [100, 1].flatMap((receivers) => [
    logged({ ...live, name: "live", receivers, payloadBytes: 64 }),
    logged({ ...liveAcknowledged, name: "live, acknowledged", receivers, payloadBytes: 64 }),
    logged({ ...logBacked, name: "log-backed", receivers, payloadBytes: 64, smoke: receivers > 1 }),
  ]),
};
