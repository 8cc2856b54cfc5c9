/** Whether what arrived is what was published: the one thing for which the bench fails. Times never are. */
import type { Sample } from "../results.ts";
import type { PlannedCase } from "./plan.ts";
import type { Taken } from "./samples.ts";

/** Peers whose messages must all arrive, once and in order. The others are shown as they are. */
export const ownPeers: readonly string[] = [
  "tagcast",
  "tagcast redis",
  "tagcast cluster",
  "tagcast processes",
  "bun control",
];

/** What is wrong with a sample, in words; nothing if all is well. */
export function wrongCounts(sample: Sample): readonly string[] {
  const { tally, peer, figures } = sample;
  const wrong: string[] = [];
  // Of clients that are counted apart: tagcast tells them what it does not deliver.
  for (const [name, share] of Object.entries(figures)) {
    if (name.endsWith("LostPercent") && share > 0 && peer.startsWith("tagcast")) wrong.push(`${name} ${share}`);
  }
  if (tally === null) return wrong;
  const note = (count: number, what: string) => {
    if (count > 0) wrong.push(`${count} ${what}`);
  };
  note(tally.lost, "lost");
  note(tally.doubled, "doubled");
  note(tally.reordered, "reordered");
  if (tally.published === 0) wrong.push("nothing was published");
  else if (tally.expected > 0 && tally.delivered === 0 && tally.told === 0) wrong.push("nothing was delivered");
  const [failure] = tally.failures;
  if (failure !== undefined) wrong.push(`${tally.failures.length} failed, the first: ${failure}`);
  return wrong;
}

/** As above, and what the subscribers were told that they did not get, which is no fault. */
export function countNotes(sample: Sample): readonly string[] {
  const told = sample.tally?.told ?? 0;
  return told > 0 ? [...wrongCounts(sample), `${told} dropped and told`] : wrongCounts(sample);
}

/** Everything in a run that may never be wrong, a line each. */
export function wrongIn(plan: readonly PlannedCase[], { samples, problems }: Taken): readonly string[] {
  const wrong: string[] = [];
  for (const { workload, case: item, contenders } of plan) {
    for (const { name, peer } of contenders) {
      if (!ownPeers.includes(peer.name)) continue;
      const own = (found: Pick<Sample, "workload" | "case" | "peer">) =>
        found.workload === workload.name && found.case === item.name && found.peer === name;
      const counts = item.lossy?.includes(peer.name) === true ? [] : samples.filter(own).flatMap(wrongCounts);
      const failed = problems.filter(own).map(({ error }) => error);
      wrong.push(...[...counts, ...failed].map((what) => `${workload.name}: ${item.name}: ${name}: ${what}`));
    }
  }
  const times = Map.groupBy(wrong, (line) => line);
  return [...times].map(([line, { length }]) => (length === 1 ? line : `${line} (${length} times)`));
}

/** The driver worked so hard that the peer may have been waiting for it. */
export function boundByDriver({ tally }: Sample): boolean {
  return tally !== null && tally.seconds > 0.05 && tally.driverSeconds > 0.9 * tally.seconds;
}
