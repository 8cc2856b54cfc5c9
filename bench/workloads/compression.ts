/** `permessage-deflate` on and off. */
import type { Case, Workload } from "../results.ts";
import { bytesName, grouped, onStage, publishers, subscribers } from "./stage.ts";
import { withCompression } from "./who.ts";

const tag = "live/fan";
const receivers = 20;
const perSecond = 200;

function messages(payloadBytes: number, compression: boolean): Case {
  return {
    name: `${compression ? "on" : "off"}, 1→${receivers}, ${bytesName(payloadBytes)}, ${grouped(perSecond)} msg/s`,
    peers: withCompression,
    smoke: compression && payloadBytes === 1024,
    sample: (context) =>
      onStage(context, { connections: receivers + 1, compression }, async (stage) => {
        await stage.connect(subscribers, receivers, [[tag]], { compression });
        await stage.connect(publishers, 1, [], { compression });
        const run = { tags: [[tag]], payloadBytes, pace: { perSecond }, receivers };
        const measured = await stage.measure(run);
        const { bytesIn, delivered } = measured.tally;
        const bytesPerDelivery = bytesIn / Math.max(1, delivered);
        return stage.sample(measured, {
          bytesPerDelivery,
          savedPercent: 100 * (1 - bytesPerDelivery / payloadBytes),
        });
      }),
  };
}

export const compression: Workload = {
  name: "compression",
  about: `What \`permessage-deflate\` saves in bytes and takes in CPU, at a fixed rate. Payloads are a text of readings, in which
words repeat and digits do not. Offered without context takeover; what the publisher sends is not compressed, so that only
the server's work to compress is measured. *Bytes per delivery* is all that arrives from the server, framing included; *saved* is against
the bare payload. Two messages of one turn share a frame in tagcast.`,
  cases: [1024, 16_384].flatMap((bytes) => [messages(bytes, false), messages(bytes, true)]),
};
