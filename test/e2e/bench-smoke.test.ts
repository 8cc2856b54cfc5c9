/** The short form of the bench: counts, never times. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ownPeers, wrongCounts } from "../../bench/measure/correctness.ts";
import { parseResults } from "../../bench/report/store.ts";
import { workloads } from "../../bench/workloads/workloads.ts";
import { scratchDirectory } from "../harness/server.ts";
import { root } from "../harness/source-tree.ts";

test("everything that the short form publishes arrives, once and in order, or is told", async () => {
  using scratch = scratchDirectory();
  const json = join(scratch.path, "results.json");
  const bench = Bun.spawn([process.execPath, join(root, "bench/run.ts"), "--smoke", "--json", json], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([bench.stdout.text(), bench.stderr.text(), bench.exited]);
  expect({ code, err, out }).toMatchObject({ code: 0 });
  const { samples, problems } = parseResults(await Bun.file(json).text());
  expect(problems).toEqual([]);
  const asked = workloads.flatMap(({ name, cases }) =>
    cases
      .filter(({ smoke }) => smoke === true)
      .flatMap((item) =>
        item.peers.filter((peer) => ownPeers.includes(peer)).map((peer) => `${name}: ${item.name}: ${peer}`),
      ),
  );
  expect(asked.length).toBeGreaterThan(4);
  expect(samples.map(({ workload, case: name, peer }) => `${workload}: ${name}: ${peer}`).sort()).toEqual(asked.sort());
  const tagcast = samples.filter(({ peer }) => peer === "tagcast");
  expect(tagcast.flatMap(wrongCounts)).toEqual([]);
  const delivered = tagcast.reduce((sum, { tally }) => sum + (tally?.delivered ?? 0), 0);
  expect(delivered).toBeGreaterThan(1000);
}, 60_000);
