/** What W. Cao et al. measured in 2017, beside which tagcast does the same work. */
import type { Sample } from "../results.ts";
import { digits, markdownTable, quantity } from "./format.ts";
import { figure } from "./metrics.ts";
import { casesOf, samplesOf, spread } from "./summary.ts";

export const paperWorkload = "paper-c";
export const responseMs = figure("responseMs");
export const errorPercent = figure("errorPercent");

interface Row {
  readonly connections: number;
  readonly responseMs: number;
  readonly errorPercent: number;
}

/** Table of "A High Performance Event-Driven WebSocket Server", W. Cao et al., 2017. */
export const paper: readonly Row[] = [
  { connections: 500, responseMs: 1047, errorPercent: 0 },
  { connections: 750, responseMs: 1852, errorPercent: 0 },
  { connections: 900, responseMs: 2173, errorPercent: 0.25 },
  { connections: 1200, responseMs: 2763, errorPercent: 0.41 },
  { connections: 1500, responseMs: 3242, errorPercent: 1.83 },
];

/** What this run measured: median over the rounds, by the number that the case begins with. */
export function measuredRows(samples: readonly Sample[], peer = "tagcast"): readonly Row[] {
  const own = samplesOf(samples, paperWorkload);
  return casesOf(own)
    .map((name) => {
      const found = samplesOf(own, paperWorkload, name);
      return {
        connections: Number.parseInt(name.replaceAll(",", ""), 10),
        responseMs: spread(found, peer, responseMs)?.median ?? Number.NaN,
        errorPercent: spread(found, peer, errorPercent)?.median ?? Number.NaN,
      };
    })
    .filter((row) => Number.isFinite(row.connections) && Number.isFinite(row.responseMs))
    .sort((a, b) => a.connections - b.connections);
}

/** Empty where the run has nothing of it. */
export function paperTable(samples: readonly Sample[]): string {
  const rows = measuredRows(samples);
  if (rows.length === 0) return "";
  return markdownTable(
    ["connections", "paper: response", "paper: errors", "tagcast: response", "tagcast: errors"],
    rows.map((row) => {
      const theirs = paper.find(({ connections }) => connections === row.connections);
      return [
        row.connections.toLocaleString("en-US"),
        quantity(theirs?.responseMs, "ms"),
        theirs === undefined ? "–" : `${theirs.errorPercent} %`,
        quantity(row.responseMs, "ms"),
        `${digits(row.errorPercent)} %`,
      ];
    }),
  );
}
