/** `bun run soak:edge`: a box at the edge, its devices, and all that may happen to it; ends with status 1 where anything is lost. */
import { parseArgs } from "node:util";
import { createRandom, freshSeed } from "../harness/random.ts";
import { run } from "./run.ts";

const usage = `bun run soak:edge [--seconds 1800] [--seed N] [--c 200] [--python 50] [--rate 0.2]

Runs the executable in 96 MB with devices that publish readings, while the network is cut, held, lossy and slow, and the process is killed, at random.
At the end each log is complete and in order at a subscriber, and every device agrees about what was acknowledged.`;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "1800" },
    seed: { type: "string" },
    c: { type: "string", default: "200" },
    python: { type: "string", default: "50" },
    rate: { type: "string", default: "0.2" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const begunMs = performance.now();
const say = (line: string) => console.log(`${((performance.now() - begunMs) / 1000).toFixed(1).padStart(7)} ${line}`);
const random = createRandom(values.seed === undefined ? freshSeed() : Number(values.seed));
say(`seed ${random.seed}`);
const outcome = await run({
  seconds: Number(values.seconds),
  random,
  c: Number(values.c),
  python: Number(values.python),
  rate: Number(values.rate),
  say,
});
for (const fault of outcome.faults.slice(0, 20)) console.log(`WRONG ${fault}`);
const { published, acknowledged, kept, mishaps, kills, peakBytes, isBounded, longestOutageMs } = outcome;
const happened = [...mishaps].map(([name, count]) => `${count} × ${name}`).join(", ");
console.log(`${happened}; ${kills} times without power`);
console.log(`${published} readings published, ${acknowledged} acknowledged, ${kept} in the logs`);
console.log(
  `peak memory ${(peakBytes / 1e6).toFixed(1)} MB${isBounded ? " within a control group of 96 MB" : ""}; ` +
    `longest time without the box ${(longestOutageMs / 1000).toFixed(1)} s`,
);
console.log(
  outcome.faults.length === 0 ? "RIGHT" : `WRONG: ${outcome.faults.length} faults; again: --seed ${random.seed}`,
);
process.exit(outcome.faults.length === 0 ? 0 : 1);
