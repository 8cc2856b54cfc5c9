/** What came of a run, as text. */
import type { Outcome } from "./checker.ts";

export function report({ world, recovered, steadyRate, issued, rssBytesBefore, rssBytesMost }: Outcome): string {
  const { counts, verdict } = world;
  const names = [...new Set(recovered.map(({ fault }) => fault))].sort();
  const width = Math.max(5, ...names.map((name) => name.length));
  const seconds = (ms: number) => (ms / 1000).toFixed(2).padStart(8);
  const rows = names.map((name) => {
    const times = recovered.filter(({ fault }) => fault === name).map(({ wholeMs }) => wholeMs);
    times.sort((a, b) => a - b);
    const median = times[Math.floor(times.length / 2)]!;
    return `${name.padEnd(width)}  ${`${times.length}`.padStart(5)}  ${seconds(median)}  ${seconds(times.at(-1)!)}`;
  });
  const gaps = [...counts.gaps].sort(([a], [b]) => a - b).map(([code, count]) => `${code}: ${count}`);
  const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
  return [
    `${"fault".padEnd(width)}  times  median s     max s   until service was whole`,
    ...rows,
    `published ${issued}, acknowledged ${counts.acknowledged} (${counts.repeated} had been taken before; ${counts.retried} sent again), ${Math.round(steadyRate)} a second while nothing was wrong`,
    `delivered ${counts.deliveries}; lost untold ${verdict.count}; lost and told ${counts.toldLosses}; lost and told by a new epoch in an answer alone ${counts.renamedLosses}; gaps told ${gaps.join(", ") || "none"}`,
    `live-only: ${counts.liveExpected} due, ${counts.liveTold} lost and told, ${counts.liveUnknowable} lost with an instance that was killed or a master that was replaced`,
    ...(counts.unplanned > 0
      ? [`masters replaced by themselves, as on a machine that is too busy: ${counts.unplanned}`]
      : []),
    `reconnects ${counts.reconnects}, subscribes put off ${counts.refusedSubscribes}`,
    `memory of an instance: ${mebibytes(rssBytesBefore)} MiB before, ${mebibytes(rssBytesMost)} MiB at most`,
  ].join("\n");
}
