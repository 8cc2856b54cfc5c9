/**
 * `bun bench/report/write.ts [file …]`: README, tables and plots anew from `bench/results.json`; with files, from what
 * `--json` wrote, put together and kept as the new `bench/results.json`. Rounds and scale may differ from file to file.
 */
import { mkdir, rm } from "node:fs/promises";
import { peers } from "../peers/peers.ts";
import type { Results } from "../results.ts";
import { workloads } from "../workloads/workloads.ts";
import { plotsOf } from "./plots.ts";
import { readme, tables } from "./readme.ts";
import { render } from "./render.ts";
import { inOrder, joinResults, parseResults, resultsText } from "./store.ts";

const bench = new URL("../", import.meta.url).pathname;

/** Makes a run the report. */
export async function writeReport(results: Results): Promise<void> {
  await Bun.write(`${bench}results.json`, resultsText(results));
  // What is written is what is read again: rounding included.
  await writePages(parseResults(resultsText(results)));
}

async function writePages(results: Results): Promise<void> {
  await Bun.write(`${bench}README.md`, readme(results, { peers, workloads }));
  await Bun.write(`${bench}tables.md`, tables(results, { peers, workloads }));
  const drawings = await Promise.all(
    plotsOf(results).map(async ({ name, spec }) => ({ name, svg: await render(spec) })),
  );
  await rm(`${bench}plots`, { recursive: true, force: true });
  await mkdir(`${bench}plots`);
  for (const { name, svg } of drawings) await Bun.write(`${bench}plots/${name}.svg`, svg);
}

if (import.meta.main) {
  const files = process.argv.slice(2);
  const read = async (path: string) => parseResults(await Bun.file(path).text());
  if (files.length === 0) await writePages(await read(`${bench}results.json`));
  else await writeReport(inOrder(joinResults(await Promise.all(files.map(read))), workloads));
}
