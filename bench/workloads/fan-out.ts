/** One publisher, one tag, 1 to 1,000 subscribers. */
import type { RunCommand } from "../load/commands.ts";
import type { Case, Workload } from "../results.ts";
import { bytesName, grouped, onStage, publishers, subscribers } from "./stage.ts";
import { everyone, tagcast } from "./who.ts";

const tag = "live/fan";
const inFlight = 512;
/** Beyond it peers would be measured by how they hold back: of what waits for one subscriber, and for all. */
const waitingBytesMax = 512 * 1024;
const waitingBytesMaxOfAll = 64 * 1024 * 1024;

interface FanOut {
  readonly receivers: number;
  readonly payloadBytes: number;
  readonly pace: RunCommand["pace"];
  /** Publishes that share a frame. */
  readonly perFrame?: number;
  readonly peers?: readonly string[];
  readonly smoke?: boolean;
}

function fanOut({ receivers, payloadBytes, pace, perFrame = 1, peers = everyone, smoke = false }: FanOut): Case {
  const rhythm = "inFlight" in pace ? `${grouped(pace.inFlight)} in flight` : `${grouped(pace.perSecond)} msg/s`;
  return {
    name: `1→${grouped(receivers)}, ${bytesName(payloadBytes)}, ${rhythm}${perFrame === 1 ? "" : `, ${perFrame} publishes per frame`}`,
    peers,
    smoke,
    sample: (context) =>
      onStage(context, { connections: receivers + 1 }, async (stage) => {
        await stage.connect(subscribers, receivers, [[tag]]);
        await stage.connect(publishers, 1, []);
        return stage.sample(await stage.measure({ tags: [[tag]], payloadBytes, pace, perFrame, receivers }));
      }),
  };
}

function saturated(payloadBytes: number, receivers: number): Case {
  const waiting = Math.min(waitingBytesMax / payloadBytes, waitingBytesMaxOfAll / payloadBytes / receivers);
  const bounded = Math.max(1, Math.min(inFlight, 2 ** Math.floor(Math.log2(waiting))));
  const smoke = payloadBytes === 64 && receivers !== 10 && receivers <= 100;
  return fanOut({ receivers, payloadBytes, pace: { inFlight: bounded }, smoke });
}

export const fanOuts: Workload = {
  name: "fan-out",
  about: `One publisher, one tag, 1 to 1,000 subscribers. *In flight*: the next message is published as soon as fewer than so
many are on their way, which keeps the server busy all the time; with large payloads fewer are, so that no subscriber has more
than 512 KiB before it and all together no more than 64 MiB. *msg/s*: a fixed rate, at which most of the time goes into system
calls. *Publishes per frame*: the publisher puts so many messages into each WebSocket frame, which none of the other
protocols has. Latency is from the call that publishes to the arrival, both in the driver, of one in eight messages where the
server is kept busy by at least 64.`,
  cases: [
    ...[64, 1024, 16_384].flatMap((bytes) => [1, 10, 100, 1000].map((receivers) => saturated(bytes, receivers))),
    fanOut({ receivers: 1, payloadBytes: 64, pace: { inFlight }, perFrame: 16, peers: [tagcast], smoke: true }),
    fanOut({ receivers: 1000, payloadBytes: 64, pace: { inFlight: 64 } }),
    fanOut({ receivers: 100, payloadBytes: 64, pace: { perSecond: 1000 }, smoke: true }),
    fanOut({ receivers: 1000, payloadBytes: 64, pace: { perSecond: 100 } }),
  ],
};
