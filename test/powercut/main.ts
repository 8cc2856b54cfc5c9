/**
 * `bun run powercut`: a server with a store is killed under load, at random moments; ends with status 1 where anything that was
 * acknowledged is lost, or anything is there twice.
 */
import { parseArgs } from "node:util";
import { createRandom, freshSeed } from "../harness/random.ts";
import { runKills } from "./kills.ts";

const usage = "bun run powercut [--kills 300] [--minutes 20] [--seed N] [--publishers 4]";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "300" },
    minutes: { type: "string", default: "20" },
    seed: { type: "string" },
    publishers: { type: "string", default: "4" },
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
const rooms = ["8GiB", "2MiB"];
let isRight = true;
let kills = 0;

for (const [i, logsBytesMax] of rooms.entries()) {
  say(`room for ${logsBytesMax} of logs, seed ${seed}`);
  const outcome = await runKills({
    kills: Math.ceil(Number(values.kills) / rooms.length),
    random: createRandom(seed + i),
    logsBytesMax,
    readEvery: 10,
    publishers: Number(values.publishers),
    say,
    untilMs: begunMs + ((i + 1) * Number(values.minutes) * 60_000) / rooms.length,
  });
  say(
    `${outcome.kills} kills (${outcome.killsAtStart} while it started): ${outcome.acknowledged} acknowledged, ${outcome.repeated} of them the second time`,
  );
  for (const violation of outcome.violations) console.log(`VIOLATION ${violation}`);
  kills += outcome.kills;
  isRight &&= outcome.violations.length === 0;
}
console.log(`${isRight ? "RIGHT" : "WRONG"}: ${kills} kills`);
process.exit(isRight ? 0 : 1);
