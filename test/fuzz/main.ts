/** `bun run fuzz [--seconds N] [--seed S] [--input HEX] [target…]`: exits 1 where something was found. */
import { parseArgs } from "node:util";
import { check, fuzz, type Finding, type Target } from "./engine.ts";
import { minimiseDeath, Note, runGuarded } from "./guard.ts";
import { freshSeed } from "../harness/random.ts";
import { targets } from "./targets.ts";

const secondsDefault = 60;

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    seconds: { type: "string" },
    seed: { type: "string" },
    input: { type: "string" },
    note: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});

function usage(complaint: string): never {
  const names = targets.map(({ name }) => name).join(" ");
  console.error(`${complaint}\nbun run fuzz [--seconds N] [--seed S] [--input HEX] [target…]\ntargets: ${names}`);
  process.exit(2);
}

function chosen(): readonly Target[] {
  const unknown = positionals.filter((name) => !targets.some((target) => target.name === name));
  if (unknown.length > 0) usage(`There is no target ${unknown.join(", ")}`);
  return positionals.length === 0 ? targets : targets.filter(({ name }) => positionals.includes(name));
}

function number(text: string | undefined, fallback: number, max: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value > max) usage(`Not a number up to ${max}: ${text}`);
  return value;
}

function tell({ target, seed, input, problem, alone }: Finding): void {
  const hex = Buffer.from(input).toString("hex");
  console.log(`\nFOUND in ${target}, seed ${seed}: ${problem}`);
  console.log(`input (${input.length} bytes, ${JSON.stringify(Buffer.from(input).toString("latin1"))}): ${hex}`);
  console.log(alone ? `again: bun run fuzz --input ${hex} ${target}` : `again: bun run fuzz --seed ${seed} ${target}`);
}

const list = chosen();
const seed = number(values.seed, freshSeed(), 2 ** 32 - 1);
const seconds = number(values.seconds, secondsDefault, 1e6);
if (values.help) usage("Feeds made-up input to everything that reads what others send.");

if (values.input !== undefined) {
  const [target] = list;
  if (target === undefined || list.length > 1) usage("--input is for one target");
  const problem = await check(target, Buffer.from(values.input, "hex"));
  console.log(problem ?? "Nothing is wrong with this input");
  process.exit(problem === null ? 0 : 1);
}

if (values.note !== undefined) {
  const [target] = list as [Target];
  const note = new Note(values.note);
  const about = (input: Uint8Array) => note.write(input);
  const { runs, signatures, finding } = await fuzz(target, { seed, ms: seconds * 1000, about });
  console.log(
    `${target.name.padEnd(12)} ${String(runs).padStart(9)} inputs ${String(signatures).padStart(6)} signatures`,
  );
  if (finding !== null) tell(finding);
  process.exit(finding === null ? 0 : 1);
}

console.log(`seed ${seed}, ${seconds} s for ${list.length} targets`);
let found = 0;
for (const { name } of list) {
  const command = [process.execPath, import.meta.path, name, "--seed", String(seed)];
  const { status, death } = await runGuarded([...command, "--seconds", String(seconds / list.length)]);
  if (status !== 0) found++;
  if (death === null) continue;
  const input = await minimiseDeath(command.slice(0, 3), death.input);
  tell({ target: name, seed, input, problem: death.problem, alone: true });
}
process.exit(found === 0 ? 0 : 1);
