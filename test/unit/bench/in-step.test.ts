/** What is committed of the bench fits together: the report is what the results make of it, the goals find their cases. */
import { expect, test } from "bun:test";
import { peers } from "../../../bench/peers/peers.ts";
import { goals } from "../../../bench/report/goals.ts";
import { notes } from "../../../bench/report/notes.ts";
import { plotsOf } from "../../../bench/report/plots.ts";
import { readme, tables } from "../../../bench/report/readme.ts";
import { parseResults } from "../../../bench/report/store.ts";
import { workloads } from "../../../bench/workloads/workloads.ts";
import { filesIn, read, root } from "../../harness/source-tree.ts";

const file = Bun.file(`${root}bench/results.json`);
const results = (await file.exists()) ? parseResults(await file.text()) : null;

test("the report is what bench/report/write.ts makes of bench/results.json", async () => {
  const pages = filesIn("bench", "*.md");
  const texts = { peers, workloads };
  const expected =
    results === null ? {} : { "bench/README.md": readme(results, texts), "bench/tables.md": tables(results, texts) };
  expect(Object.fromEntries(await Promise.all(pages.map(async (path) => [path, await read(path)])))).toEqual(expected);
  const plots = results === null ? [] : plotsOf(results).map(({ name }) => `bench/plots/${name}.svg`);
  expect(filesIn("bench/plots", "*.svg")).toEqual(plots.sort());
});

test("every goal finds its case and its peers", () => {
  const places = goals.flatMap(({ ratio }) => (ratio === undefined ? [] : [ratio.above, ratio.below]));
  const missing = places.filter(({ workload, case: name, peer }) => {
    const item = workloads.find((one) => one.name === workload)?.cases.find((one) => one.name === name);
    return item?.peers.includes(peer) !== true;
  });
  expect(missing).toEqual([]);
});

test("cases name peers that there are, and every note has its goal", () => {
  const names = peers.map(({ name }) => name);
  const unknown = workloads.flatMap(({ cases }) =>
    cases.flatMap((item) => item.peers.filter((peer) => !names.includes(peer))),
  );
  expect(unknown).toEqual([]);
  const keys = goals.map(({ work, goal }) => `${work}: ${goal}`);
  expect(Object.keys(notes).filter((key) => !keys.includes(key))).toEqual([]);
  expect(new Set(keys).size).toBe(goals.length);
});
