/** What one client that sends as fast as it can does to all others. */
import { adminHeaders } from "../load/protocols/tagcast-state.ts";
import type { Case, Workload } from "../results.ts";
import { onStage, publishers, type Stage, subscribers } from "./stage.ts";
import { tagcast } from "./who.ts";

const pairs = 100;
const tags = Array.from({ length: pairs }, (_, i) => [`live/pair/${i}`]);
const run = { tags, pace: { perSecond: 1000 }, receivers: 1 };
const flooderPath = new URL("../load/flooder.ts", import.meta.url).pathname;

/** With a token that has what is given; null: nobody floods. */
function flooded(name: string, token: object | null): Case {
  return {
    name,
    peers: [tagcast],
    smoke: token !== null,
    sample: (context) =>
      onStage(context, { connections: 2 * pairs + 1 }, async (stage) => {
        await stage.connect(subscribers, pairs, tags);
        await stage.connect(publishers, pairs, []);
        if (token === null) return stage.sample(await stage.measure(run));
        await using flooder = await flood(stage, token);
        const measured = await stage.measure(run);
        if (flooder.exitCode !== null) throw new Error("The flooder has ended");
        return stage.sample(measured);
      }),
  };
}

async function flood({ address: { host, port } }: Stage, limits: object): Promise<Bun.Subprocess> {
  const made = await fetch(`http://${host}:${port}/v1/tokens`, {
    method: "POST",
    headers: { ...adminHeaders, "content-type": "application/json" },
    body: JSON.stringify({ name: "flooder", grants: { "flood/#": ["publish"] }, ...limits }),
  });
  const { secret } = (await made.json()) as { readonly secret: string };
  const { promise, resolve } = Promise.withResolvers<void>();
  const flooder = Bun.spawn([process.execPath, flooderPath, `ws://${host}:${port}/ws`, secret, "flood/a"], {
    ...{ stdin: "ignore", stdout: "inherit", stderr: "inherit" },
    serialization: "json",
    ipc: () => resolve(),
    onExit: () => resolve(),
  });
  await promise;
  return flooder;
}

export const floodOfMessages: Workload = {
  name: "flood",
  about: `100 pairs of clients with a tag each, 1,000 messages a second in all, and beside them one client that publishes 64 B as fast as the
server takes them, to a tag that nobody listens to: with the limits that a client has by default, and with a token that has none. Counts and latencies
are of the pairs; the CPU is all of the server's.`,
  cases: [
    flooded("100 pairs, 1,000 msg/s", null),
    flooded("100 pairs, 1,000 msg/s, and a client that floods", {}),
    flooded("100 pairs, 1,000 msg/s, and one that floods without a limit", {
      messagesPerSecond: 0,
      bytesPerSecond: 0,
    }),
  ],
};
