/** `bun run bench`: which peers and cases there are, what is run, what is shown and written, and how it ends. */
import { parseArguments, help, type Arguments } from "./measure/arguments.ts";
import { endChildren } from "./measure/children.ts";
import { ownPeers, wrongIn } from "./measure/correctness.ts";
import { commitOf, describeMachine } from "./measure/machine.ts";
import { measureMicro } from "./measure/micro.ts";
import { type Contender, planCases, type PlannedCase } from "./measure/plan.ts";
import { duration } from "./measure/remaining.ts";
import { type Taken, takeSamples } from "./measure/samples.ts";
import { openWorktree } from "./measure/worktree.ts";
import { peers as allPeers } from "./peers/peers.ts";
import { comparisonSummary, comparisonText } from "./report/comparison.ts";
import { textTable } from "./report/format.ts";
import { isGoalCase } from "./report/goals.ts";
import { assertRenderer } from "./report/render.ts";
import { resultsText } from "./report/store.ts";
import { caseTable, control } from "./report/summary.ts";
import { writeReport } from "./report/write.ts";
import type { Results, Sample } from "./results.ts";
import { workloads } from "./workloads/workloads.ts";

const root = new URL("../", import.meta.url).pathname;
const sampleDeadlineMs = 15 * 60_000;
const after = "tagcast";
/** Beside the workloads: what is measured in process. */
const microName = "micro";

const interrupted = new AbortController();
let interruptedAtMs = 0;
/** Some send a signal twice at once; whoever asks again later does not want to wait. */
const impatientMs = 500;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) {
      if (performance.now() - interruptedAtMs > impatientMs) process.exit(1);
      return;
    }
    interruptedAtMs = performance.now();
    console.error(`\nEnding what was started (${signal})`);
    interrupted.abort();
    // What is under way fails at once, and what was started for it is ended on the way out.
    void endChildren();
  });
}

process.exitCode = await main();
await endChildren();
process.exit();

async function main(): Promise<number> {
  let wishes: Arguments;
  try {
    wishes = parseArguments(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n\n${help}`);
    return 2;
  }
  if (wishes.help) return print(help);
  if (wishes.list) return print(listing());
  try {
    return wishes.against === null ? await measure(wishes) : await measureAgainst(wishes, wishes.against);
  } catch (error) {
    console.error(`bench: ${messageOf(error)}`);
    return 1;
  }
}

async function measure(wishes: Arguments): Promise<number> {
  // Not only after hours of measuring.
  if (wishes.write) await assertRenderer();
  const versions = await versionsOf(wishes);
  const contenders = present(versions).map((peer) => ({ name: peer.name, peer }));
  const plan = planned(wishes, contenders);
  if (plan === null) return 2;
  const base = {
    format: 2,
    machine: describeMachine(),
    commit: commitOf(root),
    at: new Date().toISOString(),
    peers: versions,
    micro: {},
  } as const;
  const keep = async (taken: Taken) => {
    if (wishes.json !== null) await Bun.write(wishes.json, resultsText({ ...base, ...taken }));
  };
  const taken = await take(plan, wishes, (samples) => textTable(caseTable(samples)), keep);
  if (interrupted.signal.aborted) return 130;
  const whole = wishes.workloads.length === 0 && wishes.cases.length === 0 && wishes.goals !== "only" && !wishes.smoke;
  const micro = whole || wishes.workloads.includes(microName) ? await measureMicro(root) : {};
  for (const [name, value] of Object.entries(micro)) console.log(`${microName}: ${name}: ${value}`);
  const results: Results = { ...base, ...taken, micro };
  if (wishes.json !== null) await Bun.write(wishes.json, resultsText(results));
  if (wishes.write) await writeReport(results);
  return statusOf(plan, taken);
}

async function measureAgainst(wishes: Arguments, ref: string): Promise<number> {
  const peer = allPeers.find(({ name }) => name === after);
  if (peer === undefined) throw new Error("There is no peer called tagcast");
  await using worktree = await openWorktree(root, ref);
  const before = `tagcast@${worktree.commit}`;
  console.log(`Comparing ${commitOf(root)} (after) with ${ref}, ${worktree.commit} (before)\n`);
  const beside = allPeers.filter(({ name }) => name === control).map((bare) => ({ name: bare.name, peer: bare }));
  const contenders: Contender[] = [{ name: after, peer }, { name: before, peer, checkout: worktree.path }, ...beside];
  const plan = planned(wishes, contenders)?.filter((entry) => entry.contenders.some(({ name }) => name === after));
  if (plan === undefined) return 2;
  const taken = await take(plan, wishes, (samples) => comparisonText(samples, before, after));
  if (wishes.json !== null) await Bun.write(wishes.json, `${JSON.stringify(taken)}\n`);
  if (interrupted.signal.aborted) return 130;
  console.log(comparisonSummary(taken.samples, before, after));
  return statusOf(plan, taken);
}

/** Runs the plan, prints what `show` makes of each case, and tells how far it is. */
async function take(
  plan: readonly PlannedCase[],
  { rounds, scale }: Arguments,
  show: (samples: readonly Sample[]) => string,
  keep: (taken: Taken) => Promise<void> = async () => {},
): Promise<Taken> {
  const signal = interrupted.signal;
  return await takeSamples(
    plan,
    { rounds, scale, deadlineMs: sampleDeadlineMs, signal },
    {
      begins({ planned: { workload, case: item }, contender, round }, nth, of, left) {
        const rest = left === null ? "" : `, about ${duration(left)} left`;
        console.error(
          `[${nth}/${of}${rest}] ${workload.name}: ${item.name}: ${contender.name}, round ${round}/${rounds}`,
        );
      },
      async failed(problem) {
        console.error(`failed: ${problem.workload}: ${problem.case}: ${problem.peer}: ${problem.error}`);
        await endChildren();
      },
      async caseEnded({ workload, case: item }, samples, taken) {
        console.log(`${workload.name}: ${item.name}\n${samples.length === 0 ? "no samples" : show(samples)}\n`);
        await keep(taken);
      },
    },
  );
}

/** Version of each peer that was asked for; null and a line of its own: not installed. */
async function versionsOf({ peers, smoke }: Arguments): Promise<Record<string, string | null>> {
  const unknown = (peers ?? []).filter((name) => !allPeers.some((peer) => peer.name === name));
  if (unknown.length > 0) throw new Error(`There is no peer called ${unknown.join(", ")}; see --list`);
  const wanted = allPeers.filter(({ name }) => (peers ?? (smoke ? ownPeers : [name])).includes(name));
  const versions: Record<string, string | null> = {};
  for (const peer of wanted) {
    versions[peer.name] = await peer.version();
    if (versions[peer.name] !== null) continue;
    console.log(`skipped: ${peer.name} is not installed (${peer.install}); to install it: bun run bench:setup`);
  }
  return versions;
}

function present(versions: Readonly<Record<string, string | null>>) {
  return allPeers.filter(({ name }) => typeof versions[name] === "string");
}

/** Null, and a line that says so, where nothing fits. */
function planned(wishes: Arguments, contenders: readonly Contender[]): readonly PlannedCase[] | null {
  const { goals } = wishes;
  const plan = planCases(workloads, wishes, contenders).filter(
    ({ workload, case: item }) =>
      goals === "too" || isGoalCase({ workload: workload.name, case: item.name }) === (goals === "only"),
  );
  if (plan.length > 0 || (wishes.workloads.includes(microName) && wishes.against === null)) return plan;
  console.error("bench: no case fits; see --list");
  return null;
}

function statusOf(plan: readonly PlannedCase[], taken: Taken): number {
  const wrong = wrongIn(plan, taken);
  for (const line of wrong) console.error(`wrong: ${line}`);
  return wrong.length === 0 ? 0 : 1;
}

function listing(): string {
  const lines = workloads.flatMap(({ name, about, cases }) => [
    `${name}: ${about}`,
    ...cases.map((item) => `  ${item.name} (${item.peers.join(", ")})`),
  ]);
  lines.push(`${microName}: in process: what a publish allocates, what a wildcard costs`);
  return [...lines, "", "peers:", ...allPeers.map(({ name, about }) => `  ${name}: ${about}`)].join("\n");
}

function print(text: string): number {
  console.log(text.trimEnd());
  return 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
