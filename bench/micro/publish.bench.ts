/**
 * Time that tagcast takes for a published message, from the frame of the publisher to the frame for the native topic: the
 * least of many short runs, which is what other programs on the machine disturb least. What every message pays for
 * the defences shows here first; compare two checkouts by running it in both in turn.
 */
import { InProcess, printFigures, publishFrame } from "./in-process.ts";

const warmUpMessages = 400_000;
const messages = 20_000;
const runs = 60;

interface Load {
  readonly patterns: readonly string[];
  readonly tags: number;
  readonly publishers: number;
  readonly perTurn: number;
}

const loads: Readonly<Record<string, Load>> = {
  "1 tag, 32 per turn": { patterns: ["load/0"], tags: 1, publishers: 1, perTurn: 32 },
  "1 tag, 1 per turn": { patterns: ["load/0"], tags: 1, publishers: 1, perTurn: 1 },
  "1 tag and 1 wildcard, 32 per turn": { patterns: ["load/0", "load/+"], tags: 1, publishers: 1, perTurn: 32 },
  "1,000 tags, 32 per turn": { patterns: ["load/+"], tags: 1000, publishers: 1, perTurn: 32 },
  "1,000 publishers, 32 per turn": { patterns: ["load/+"], tags: 1000, publishers: 1000, perTurn: 32 },
};

function nanosecondsPerMessage({ patterns, tags, publishers, perTurn }: Load): number {
  const server = new InProcess();
  for (const pattern of patterns) server.subscribe(server.connect(), pattern);
  const sessions = Array.from({ length: publishers }, () => server.connect());
  const frames = Array.from({ length: tags }, (_, i) => publishFrame(`load/${i}`, 64));
  const publish = (count: number) => {
    for (let i = 1; i <= count; i++) {
      sessions[i % publishers]?.receive(frames[i % tags] as Uint8Array);
      if (i % perTurn === 0) server.endTurn();
    }
  };
  publish(warmUpMessages);
  let least = Infinity;
  for (let run = 0; run < runs; run++) {
    const begunMs = performance.now();
    publish(messages);
    least = Math.min(least, performance.now() - begunMs);
  }
  if (server.published === 0) throw new Error("Messages were not delivered");
  return Math.round((least * 1e7) / messages) / 10;
}

printFigures(
  Object.fromEntries(Object.entries(loads).map(([name, load]) => [`ns, ${name}`, nanosecondsPerMessage(load)])),
);
