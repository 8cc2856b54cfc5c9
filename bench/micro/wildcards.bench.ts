/**
 * What one wildcard subscription among 100,000 costs those who publish: the time of a publish to one of 100,000 tags,
 * each with a subscriber, without any wildcard, with one that matches none of them, and with one that matches a tenth.
 * In process, without sockets: the share of the runtime, which is the same in all three, would only hide a difference.
 */
import { median } from "../report/statistics.ts";
import { InProcess, printFigures, publishFrame } from "./in-process.ts";

const subscriptions = 100_000;
const perSession = 100;
const messagesPerRound = 100_000;
const messagesPerTurn = 32;
const rounds = 15;

const tagOf = (i: number) => `sensors/${i % 10}/${i}`;
const frames = Array.from({ length: subscriptions }, (_, i) => publishFrame(tagOf(i), 64));

function open(wildcard: string | null): () => number {
  const server = new InProcess();
  for (let i = 0; i < subscriptions; i += perSession) {
    const session = server.connect();
    for (let j = i; j < i + perSession; j++) server.subscribe(session, tagOf(j));
  }
  if (wildcard !== null) server.subscribe(server.connect(), wildcard);
  const publisher = server.connect();
  let next = 0;
  return () => {
    const before = process.cpuUsage();
    const published = server.published;
    for (let i = 0; i < messagesPerRound; i++) {
      publisher.receive(frames[next] ?? frames[0] ?? new Uint8Array());
      next = (next + 1) % frames.length;
      if (i % messagesPerTurn === messagesPerTurn - 1) server.endTurn();
    }
    if (server.published - published < messagesPerRound / 2) throw new Error("Messages were not delivered");
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1e3) / messagesPerRound;
  };
}

const kinds = { none: open(null), other: open("elsewhere/#"), matching: open("sensors/3/+") };
const taken: Record<keyof typeof kinds, number[]> = { none: [], other: [], matching: [] };
const names = Object.keys(kinds) as (keyof typeof kinds)[];
// The first round is the warm-up.
for (let round = 0; round <= rounds; round++) {
  for (const name of round % 2 === 0 ? names : names.toReversed()) {
    const nanoseconds = kinds[name]();
    if (round > 0) taken[name].push(nanoseconds);
  }
}

const ratio = (name: keyof typeof kinds) =>
  median(taken[name].map((value, i) => value / (taken.none[i] ?? Number.NaN)));
printFigures({
  publishWithoutWildcardNs: Math.round(median(taken.none)),
  publishWithWildcardNs: Math.round(median(taken.other)),
  publishWithMatchingWildcardNs: Math.round(median(taken.matching)),
  wildcardRatio: Number(ratio("other").toFixed(3)),
  matchingWildcardRatio: Number(ratio("matching").toFixed(3)),
});
// Timers of the servers keep nothing that is worth waiting for.
process.exit();
