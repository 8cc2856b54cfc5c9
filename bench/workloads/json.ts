/** The JSON form of the protocol beside MessagePack. */
import type { Case, Workload } from "../results.ts";
import { bytesName, onStage, publishers, subscribers } from "./stage.ts";
import { tagcast } from "./who.ts";

const tag = "live/fan";
const receivers = 100;
const json = "tagcast-json";

function lane(
  name: string,
  payloadBytes: number,
  protocols: { readonly publisher: string; readonly others: readonly string[] },
) {
  const { publisher, others } = protocols;
  return {
    name: `${name}, 1→100, ${bytesName(payloadBytes)}, 256 in flight`,
    peers: [tagcast],
    smoke: payloadBytes === 64 && others.length > 1,
    sample: (context) =>
      onStage(context, { connections: receivers + 1 }, async (stage) => {
        for (const protocol of others) {
          await stage.connect(`${subscribers} ${protocol}`, receivers / others.length, [[tag]], { protocol });
        }
        await stage.connect(publishers, 1, [], { protocol: publisher });
        return stage.sample(await stage.measure({ tags: [[tag]], payloadBytes, pace: { inFlight: 256 }, receivers }));
      }),
  } satisfies Case;
}

export const jsonBesideMessagePack: Workload = {
  name: "json",
  about: `The same messages in MessagePack and in JSON, and published in JSON to 50 subscribers of either form. Payloads are
byte strings in MessagePack and texts of the same length in JSON.`,
  cases: [64, 1024].flatMap((bytes) => [
    lane("MessagePack", bytes, { publisher: tagcast, others: [tagcast] }),
    lane("JSON", bytes, { publisher: json, others: [json] }),
    lane("both", bytes, { publisher: json, others: [tagcast, json] }),
  ]),
};
