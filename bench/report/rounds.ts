/** In how many rounds the cases of a report were run, and at which scale: parts of it may come of different runs. */
import type { Sample } from "../results.ts";
import { casesOf } from "./summary.ts";

export function roundsOf(samples: readonly Sample[]): number {
  return new Set(samples.map(({ round }) => round)).size;
}

/** Of the samples of one case: `5 rounds`; `1 round, counts and durations × 0.1`. */
export function roundsText(samples: readonly Sample[]): string {
  const rounds = roundsOf(samples);
  const scales = [...new Set(samples.map(({ scale }) => scale))].filter((scale) => scale !== 1);
  const reduced = scales.length === 0 ? "" : `, counts and durations × ${scales.join(" or ")}`;
  return `${rounds} ${rounds === 1 ? "round" : "rounds"}${reduced}`;
}

/** Of the samples of one workload: `Medians over 3 rounds; over 5 rounds: a; b.` */
export function conditions(samples: readonly Sample[]): string {
  const groups = Map.groupBy(casesOf(samples), (name) => roundsText(samples.filter((sample) => sample.case === name)));
  const [most, ...rest] = [...groups].toSorted(([, a], [, b]) => b.length - a.length);
  if (most === undefined) return "";
  const others = rest.map(([text, cases]) => `; over ${text}: ${cases.join("; ")}`);
  return `Medians over ${most[0]}${others.join("")}.`;
}

/** Of a whole report: `5 rounds`, `3 to 5 rounds`. */
export function roundsRange(samples: readonly Sample[]): string {
  const counts = [...Map.groupBy(samples, (sample) => `${sample.workload}\0${sample.case}`).values()].map(roundsOf);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  if (counts.length === 0) return "no rounds";
  return least === most ? `${least} ${least === 1 ? "round" : "rounds"}` : `${least} to ${most} rounds`;
}
