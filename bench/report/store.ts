/** Results as JSON: one sample a line, so that two runs can be told apart line by line. */
import type { Results } from "../results.ts";

export function resultsText({ samples, ...rest }: Results): string {
  const head = JSON.stringify(rest, null, 2).replace(/\n\}$/, "");
  const lines = samples.map((sample) => `    ${JSON.stringify(sample, short)}`);
  return `${head},\n  "samples": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

/** @throws Error where the text is of another format */
export function parseResults(text: string): Results {
  const results = JSON.parse(text) as Results;
  if (results.format !== 1) throw new Error(`Results of a format that is not known: ${String(results.format)}`);
  return results;
}

/**
 * Puts runs of single workloads together. Of a case that several have, the last one counts.
 * @throws Error where commit or machine differ
 */
export function joinResults(parts: readonly Results[]): Results {
  const [first, ...rest] = parts;
  if (first === undefined) throw new Error("There are no results to join");
  return rest.reduce((joined, part) => {
    const same = (key: "commit" | "rounds" | "scale" | "machine") =>
      JSON.stringify(joined[key]) === JSON.stringify(part[key]);
    for (const key of ["commit", "machine", "rounds", "scale"] as const) {
      if (!same(key)) throw new Error(`The runs have not the same ${key}: they cannot stand in one table`);
    }
    const again = new Set([...part.samples, ...part.problems].map(placeOf));
    const kept = <T extends { readonly workload: string; readonly case: string }>(items: readonly T[]) =>
      items.filter((item) => !again.has(placeOf(item)));
    return {
      ...part,
      peers: { ...joined.peers, ...part.peers },
      micro: { ...joined.micro, ...part.micro },
      samples: [...kept(joined.samples), ...part.samples],
      problems: [...kept(joined.problems), ...part.problems],
    };
  }, first);
}

function placeOf(item: { readonly workload: string; readonly case: string }): string {
  return `${item.workload}\0${item.case}`;
}

/** Six digits: more is noise. */
function short(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}
