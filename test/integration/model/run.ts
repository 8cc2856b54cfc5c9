/** Runs of the model: from a seed to a verdict, and to a report that repeats it. */
import type { Recovery } from "../../../src/core/recovery.ts";
import { createRandom } from "../../harness/random.ts";
import { createPlan, type Kind } from "./plan.ts";
import { connect, type Scene, takeStep } from "./steps.ts";
import { Violation } from "./violation.ts";
import { World } from "./world.ts";

export const stepsPerRun = 200;
const stepsReported = 30;

export interface RunOptions {
  readonly kind: Kind;
  readonly seed: number;
  /** In place of the sound rules. */
  readonly recovery?: Recovery;
}

/** @throws Violation where a promise was broken; its message tells how to repeat the run */
export async function runModel({ kind, seed, recovery }: RunOptions): Promise<World> {
  const random = createRandom(seed);
  const plan = createPlan(kind, random);
  const world = new World(plan, random, recovery ?? null);
  const scene: Scene = { world, random, plan, clients: [...world.clients], keys: 0 };
  const done: string[] = [];
  try {
    for (let i = 0; i < stepsPerRun; i++) {
      done.push(`${i}: ${takeStep(scene)}`);
      await world.promises();
    }
    done.push("everybody connects and reads on");
    for (const client of scene.clients) {
      client.connection?.read();
      if (!client.online) connect(scene, client);
    }
    await world.rest();
    // What the feed lost at the end shows when the logs are compared.
    if (plan.lossy) await world.compare();
    // A socket may have been ended for slowness, or for a ping that nobody read, only now.
    for (const client of scene.clients) if (!client.online) connect(scene, client);
    await world.rest();
    world.check();
    done.push("a last message goes to every tag");
    world.publishLast();
    await world.rest();
    world.check();
    await world.promises();
  } catch (error) {
    throw report(error, { kind, seed, plan: JSON.stringify(plan), done });
  }
  return world;
}

function report(error: unknown, run: { kind: Kind; seed: number; plan: string; done: readonly string[] }): Error {
  const lines = [
    error instanceof Error ? error.message : String(error),
    `seed ${run.seed}, ${run.kind}: ${run.plan}`,
    ...run.done.slice(-Number(process.env["TAGCAST_MODEL_REPORT"] ?? stepsReported)),
    `Repeat it with: TAGCAST_MODEL_RUNS=1 TAGCAST_MODEL_SEED=${run.seed} bun test test/integration/model -t "${run.kind}"`,
  ];
  const text = lines.join("\n  ");
  return error instanceof Violation ? new Violation(text) : new Error(text, { cause: error });
}
