/**
 * `bun test/faults/main.ts`: a cluster of real processes under load while parts of it fail; ends with status 1 where anything
 * is lost untold, out of order or twice. `bun run soak` is its long form.
 */
import { parseArgs } from "node:util";
import { createRandom, freshSeed } from "../harness/random.ts";
import { type Recovered, run } from "./checker.ts";
import { faultsOf } from "./faults.ts";
import { longPlan, rollingPlan, shortPlan, type Step } from "./plan.ts";
import { report, summary } from "./report.ts";
import { startTopology, type Topology, type TopologyName, topologyNames } from "./topology.ts";

const usage = `bun run soak [--faults 200] [--minutes 60] [--seed N] [--topology ${topologyNames.join(",")}]
             [--form long|short|rolling] [--only NAME] [--tags 100] [--subscribers 20] [--instances 3] [--rate 1300]`;

const { values } = parseArgs({
  options: {
    form: { type: "string", default: "long" },
    topology: { type: "string" },
    faults: { type: "string", default: "200" },
    minutes: { type: "string", default: "60" },
    seed: { type: "string" },
    only: { type: "string" },
    tags: { type: "string", default: "100" },
    subscribers: { type: "string", default: "20" },
    instances: { type: "string", default: "3" },
    rate: { type: "string", default: "1300" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(usage);
  process.exit(0);
}

const begunMs = performance.now();
const say = (line: string) => console.log(`${((performance.now() - begunMs) / 1000).toFixed(1).padStart(7)} ${line}`);
const seed = values.seed === undefined ? freshSeed() : Number(values.seed) >>> 0;
const names = (values.topology ?? (values.form === "long" ? topologyNames.join(",") : "standalone")).split(",");
const faultsEach = Math.ceil(Number(values.faults) / names.length);
const untilMs = begunMs + Number(values.minutes) * 60_000;
let isRight = true;
const recovered: Recovered[] = [];

for (const [i, name] of names.entries()) {
  const random = createRandom(seed + i);
  say(
    `${name}, ${values.form} form; again: --form ${values.form} --topology ${name} --faults ${faultsEach} --seed ${random.seed}`,
  );
  await using topology = await startTopology(name as TopologyName, Number(values.instances));
  const outcome = await run({
    topology,
    random: createRandom(seed + i + 1_000_003),
    tags: Number(values.tags),
    subscribersEach: Number(values.subscribers),
    instances: Number(values.instances),
    rate: Number(values.rate),
    liveRate: 100,
    plan: (on, instances) => plan(on, instances, random),
    untilMs: begunMs + ((i + 1) * (untilMs - begunMs)) / names.length,
    say,
  });
  console.log(report(outcome));
  for (const violation of outcome.world.verdict.violations) console.log(`VIOLATION ${violation}`);
  recovered.push(...outcome.recovered);
  isRight &&= outcome.world.verdict.count === 0;
}
console.log(`${isRight ? "RIGHT" : "WRONG"}: ${recovered.length} faults; ${summary(recovered)}`);
process.exit(isRight ? 0 : 1);

function plan(topology: Topology, instances: number, random: ReturnType<typeof createRandom>): readonly Step[] {
  const only = values.only?.split(",");
  const faults = faultsOf(topology).filter(({ name }) => only?.some((part) => name.includes(part)) ?? true);
  switch (values.form) {
    case "short":
      return shortPlan(faults, instances, random);
    case "rolling":
      return rollingPlan(faults, instances);
    case "long":
      return longPlan(faults, instances, faultsEach, random);
    default:
      throw new Error(usage);
  }
}
