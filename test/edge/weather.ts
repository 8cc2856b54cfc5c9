/** What happens to the box and its network at random: cut, held, lossy and slow links, and power that fails. */
import type { Proxy } from "../harness/proxy.ts";
import type { Random } from "../harness/random.ts";
import type { Box } from "./box.ts";

type Mishap = (box: Box, network: Proxy, random: Random) => Promise<void>;

/** By how they are told; each is over when it settles. */
const mishaps: Readonly<Record<string, Mishap>> = {
  "all connections cut": async (_, network) => network.drop(),
  "the network away": async (_, network, random) => {
    network.cut();
    await Bun.sleep(random.between(200, 3000));
  },
  "nothing comes through, either way": async (_, network, random) => {
    network.hold("up");
    network.hold("down");
    await Bun.sleep(random.between(200, 3000));
  },
  "answers lost": async (_, network, random) => {
    network.lose("down");
    await Bun.sleep(random.between(50, 1000));
  },
  "readings lost": async (_, network, random) => {
    network.lose("up");
    await Bun.sleep(random.between(50, 1000));
  },
  "a slow network": async (_, network, random) => {
    network.slow({ bytesPerSecond: random.between(2000, 50_000), delayMs: random.between(0, 300) });
    await Bun.sleep(random.between(500, 3000));
  },
  "the power fails": async (box, _, random) => {
    await box.powerOff();
    await Bun.sleep(random.between(0, 1000));
    await box.powerOn();
  },
  "the power fails while the network is away": async (box, network, random) => {
    network.cut();
    await box.powerOff();
    await box.powerOn();
    await Bun.sleep(random.between(0, 500));
  },
};

/** One mishap after the other until the time is over; all is well at the end. How often each happened. */
export async function storm(
  { box, network, random }: { readonly box: Box; readonly network: Proxy; readonly random: Random },
  untilMs: number,
  say: (line: string) => void,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  let order: string[] = [];
  while (performance.now() < untilMs) {
    if (order.length === 0) order = random.shuffle(Object.keys(mishaps));
    const name = order.pop() ?? "";
    say(name);
    await mishaps[name]?.(box, network, random);
    network.mend();
    counts.set(name, (counts.get(name) ?? 0) + 1);
    await Bun.sleep(random.between(300, 2500));
  }
  return counts;
}
