/** Results as JSON: one sample a line, so that two runs can be told apart line by line. */
import type { Results, Workload } from "../results.ts";

export function resultsText({ samples, ...rest }: Results): string {
  const head = JSON.stringify(rest, null, 2).replace(/\n\}$/, "");
  const lines = samples.map((sample) => `    ${JSON.stringify(sample, short)}`);
  return `${head},\n  "samples": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

/** @throws Error where the text is of another format */
export function parseResults(text: string): Results {
  const results = JSON.parse(text) as Results;
  if (results.format !== 2) throw new Error(`Results of a format that is not known: ${String(results.format)}`);
  return results;
}

/**
 * Puts runs together, which may differ in rounds, scale and commit. Of a case that several have, the last one counts, with
 * all peers.
 * @throws Error where the machine differs
 */
export function joinResults(parts: readonly Results[]): Results {
  const [first, ...rest] = parts;
  if (first === undefined) throw new Error("There are no results to join");
  return rest.reduce((joined, part) => {
    if (JSON.stringify(joined.machine) !== JSON.stringify(part.machine))
      throw new Error("The runs are of different machines: they cannot stand in one report");
    const again = new Set([...part.samples, ...part.problems].map(placeOf));
    const kept = <T extends { readonly workload: string; readonly case: string }>(items: readonly T[]) =>
      items.filter((item) => !again.has(placeOf(item)));
    return {
      ...part,
      commit: [...new Set([...joined.commit.split(", "), part.commit])].join(", "),
      peers: { ...joined.peers, ...part.peers },
      micro: { ...joined.micro, ...part.micro },
      samples: [...kept(joined.samples), ...part.samples],
      problems: [...kept(joined.problems), ...part.problems],
    };
  }, first);
}

/** Samples and problems in the order of the workloads and their cases, in whatever order they were run. */
export function inOrder(results: Results, workloads: readonly Workload[]): Results {
  const places = workloads.flatMap(({ name, cases }) => cases.map((item) => ({ workload: name, case: item.name })));
  const rank = new Map(places.map((place, i) => [placeOf(place), i]));
  const sorted = <T extends { readonly workload: string; readonly case: string }>(items: readonly T[]) =>
    items.toSorted((a, b) => (rank.get(placeOf(a)) ?? places.length) - (rank.get(placeOf(b)) ?? places.length));
  return { ...results, samples: sorted(results.samples), problems: sorted(results.problems) };
}

function placeOf(item: { readonly workload: string; readonly case: string }): string {
  return `${item.workload}\0${item.case}`;
}

/** Six digits: more is noise. */
function short(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}
