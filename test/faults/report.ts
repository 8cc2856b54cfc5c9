/** What came of a run, as text. */
import type { Outcome, Recovered } from "./checker.ts";

export function report({ world, recovered, steadyRate, issued, rssBytesBefore, rssBytesMost }: Outcome): string {
  const { counts, verdict } = world;
  const names = [...new Set(recovered.map(({ fault }) => fault))].sort();
  const width = Math.max(5, ...names.map((name) => name.length));
  const seconds = (ms: number) => (ms / 1000).toFixed(2).padStart(8);
  const rows = names.map((name) => {
    const times = recovered.filter(({ fault }) => fault === name).map(({ wholeMs }) => wholeMs);
    const { median, most } = spread(times);
    return `${name.padEnd(width)}  ${`${times.length}`.padStart(5)}  ${seconds(median)}  ${seconds(most)}`;
  });
  const gaps = [...counts.gaps].sort(([a], [b]) => a - b).map(([code, count]) => `${code}: ${count}`);
  const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
  return [
    `${"fault".padEnd(width)}  times  median s     max s   until service was whole`,
    ...rows,
    `published ${issued}, acknowledged ${counts.acknowledged} (${counts.repeated} had been taken before; ${counts.retried} sent again), ${Math.round(steadyRate)} a second while nothing was wrong`,
    `delivered ${counts.deliveries}; lost untold ${verdict.count}; lost and told ${counts.toldLosses}; gaps told ${gaps.join(", ") || "none"}`,
    `live-only: ${counts.liveExpected} due, ${counts.liveTold} lost and told, ${counts.liveUnknowable} lost with an instance that was killed or a master that was replaced`,
    ...(counts.unplanned > 0
      ? [`masters replaced by themselves, as on a machine that is too busy: ${counts.unplanned}`]
      : []),
    `reconnects ${counts.reconnects}, subscribes put off ${counts.refusedSubscribes}`,
    `memory of an instance: ${mebibytes(rssBytesBefore)} MiB before, ${mebibytes(rssBytesMost)} MiB at most`,
  ].join("\n");
}

/** How long service was not whole, over all faults. */
export function summary(recovered: readonly Recovered[]): string {
  if (recovered.length === 0) return "nothing was injected";
  const { median, most } = spread(recovered.map(({ wholeMs }) => wholeMs));
  return `service was whole again after ${(median / 1000).toFixed(2)} s in the median, ${(most / 1000).toFixed(2)} s at most`;
}

function spread(times: readonly number[]): { readonly median: number; readonly most: number } {
  const sorted = times.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? NaN, most: sorted.at(-1) ?? NaN };
}
