/** Subscriptions by pattern beside subscriptions by name, and many of either. */
import type { Case, Workload } from "../results.ts";
import { onStage, publishers, subscribers } from "./stage.ts";
import { control, withWildcards } from "./who.ts";

const sites = Array.from({ length: 10 }, (_, i) => `live/site/${i}/temp`);
const receivers = 100;
const holders = 100;
const subscriptionsEach = 1000;
/** Of the many, those that are published to. */
const busyTags = 1000;
const idleMany = 10;

function fanOut(how: string, patterns: readonly string[], peers: readonly string[], smoke = false): Case {
  return {
    name: `1→100, 10 tags ${how}, 64 B, 512 in flight`,
    peers,
    smoke,
    sample: (context) =>
      onStage(context, { connections: receivers + 1 }, async (stage) => {
        await stage.connect(subscribers, receivers, [patterns]);
        await stage.connect(publishers, 1, []);
        return stage.sample(await stage.measure({ tags: [sites], pace: { inFlight: 512 }, receivers }));
      }),
  };
}

interface Many {
  readonly name: string;
  /** Subscription of the nth of 100,000, whose only tag is `live/many/<n>/temp`. */
  readonly pattern: (nth: number) => string;
  readonly peers: readonly string[];
  /** Of another connection. */
  readonly beside?: string;
}

function many({ name, pattern, peers, beside }: Many): Case {
  return {
    name,
    peers,
    sample: (context) =>
      onStage(context, { connections: holders + 2 }, async (stage) => {
        const each = Math.round(stage.scaled(subscriptionsEach, idleMany));
        const subscriptions = Array.from({ length: holders }, (_, holder) =>
          Array.from({ length: each }, (_, i) => pattern(holder * each + i)),
        );
        await stage.connect(subscribers, holders, subscriptions, { opening: 10 });
        if (beside !== undefined) await stage.connect("beside", 1, [[beside]]);
        await stage.connect(publishers, 1, []);
        const step = Math.max(1, Math.floor((holders * each) / busyTags));
        const tags = Array.from({ length: busyTags }, (_, i) => `live/many/${(i * step) % (holders * each)}/temp`);
        const run = { tags: [[...new Set(tags)]], pace: { inFlight: 512 }, receivers: 1 };
        return stage.sample(await stage.measure(run));
      }),
  };
}

const byName = (nth: number) => `live/many/${nth}/temp`;
const byWildcard = (nth: number) => `live/many/${nth}/+`;

export const wildcards: Workload = {
  name: "wildcards",
  about: `First, 100 subscribers of the same ten tags: by their names, by \`live/site/+/temp\`, and by \`live/#\`. Then 100,000
subscriptions, of 100 connections with 1,000 each, of which every message finds the one that it is for: by names, by
names with one wildcard subscription elsewhere beside them, and by 100,000 patterns.`,
  cases: [
    fanOut("by name", sites, [control, ...withWildcards]),
    fanOut("by +", ["live/site/+/temp"], withWildcards, true),
    fanOut("by #", ["live/#"], withWildcards),
    many({ name: "1 of 100,000 names", pattern: byName, peers: [control, ...withWildcards] }),
    many({
      name: "1 of 100,000 names, and a wildcard elsewhere",
      pattern: byName,
      peers: withWildcards,
      beside: "live/elsewhere/+",
    }),
    many({ name: "1 of 100,000 patterns", pattern: byWildcard, peers: withWildcards }),
  ],
};
