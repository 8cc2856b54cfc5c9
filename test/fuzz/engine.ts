/**
 * Runs a target on inputs made from a seed. There are no coverage counters: what a run reached is its signature, made of
 * the places in `src` where input was refused and the shape of what was accepted. Inputs with a new signature are kept
 * and changed further.
 */
import { createRandom } from "../harness/random.ts";
import { minimise } from "./minimise.ts";
import { mutate } from "./mutate.ts";

/** What is fuzzed. */
export interface Target {
  readonly name: string;
  /** Longer inputs are cut. */
  readonly bytesMax: number;
  /** Longest that one input may take, in milliseconds; default 250. */
  readonly msMax?: number;
  /** Text that the format is made of. */
  readonly words: readonly (string | Uint8Array)[];
  readonly seeds: () => Promise<readonly Uint8Array[]> | readonly Uint8Array[];
  readonly open: () => Promise<Subject> | Subject;
}

/** A target made ready. */
export interface Subject {
  /** The signature of what the input reached. @throws where an invariant is broken */
  readonly run: (input: Uint8Array) => string | Promise<string>;
  readonly close?: () => Promise<void> | void;
}

export interface Bounds {
  readonly seed: number;
  /** Inputs at most; default as many as `ms` allows. */
  readonly runs?: number;
  /** Milliseconds at most. */
  readonly ms?: number;
  /** Told of each input before it is run. */
  readonly about?: (input: Uint8Array) => void;
}

export interface Finding {
  readonly target: string;
  readonly seed: number;
  readonly input: Uint8Array;
  readonly problem: string;
  /** Whether it fails without the inputs before it. */
  readonly alone: boolean;
}

export interface Outcome {
  readonly runs: number;
  readonly signatures: number;
  readonly finding: Finding | null;
}

const msMaxDefault = 250;
const minimiseTries = 1500;
const poolMax = 5000;
const newestFirst = 50;
/** Runs between looks at the heap. */
const heapEvery = 2000;
const heapGrowthMax = 256 * 1024 ** 2;
const encoder = new TextEncoder();

export async function fuzz(target: Target, { seed, runs = Infinity, ms = Infinity, about }: Bounds): Promise<Outcome> {
  const random = createRandom(seed);
  const seeds = await target.seeds();
  const words = target.words.map((word) => (typeof word === "string" ? encoder.encode(word) : word));
  const pool = [...seeds];
  const seen = new Set<string>();
  const deadline = performance.now() + ms;
  let subject = await target.open();
  const heapMax = heapBytes() + heapGrowthMax;
  let count = 0;
  try {
    while (count < runs && performance.now() < deadline) {
      const recent = random.chance(0.5) ? pool.slice(-newestFirst) : pool;
      const input = seeds[count] ?? mutate(random.pick(recent), { random, pool, words, bytesMax: target.bytesMax });
      count++;
      about?.(input);
      const { problem, signature } = await attempt(subject, input, target.msMax);
      if (problem !== null) return { runs: count, signatures: seen.size, finding: await examine(target, seed, input) };
      if (!seen.has(signature)) {
        seen.add(signature);
        if (pool.length < poolMax) pool.push(input);
      }
      if (count % heapEvery === 0 && heapBytes() > heapMax) {
        await subject.close?.();
        subject = await target.open();
        if (heapBytes() <= heapMax) continue;
        const problem = `The heap has grown by more than ${heapGrowthMax} bytes in ${count} inputs`;
        const finding = { target: target.name, seed, input, problem, alone: false };
        return { runs: count, signatures: seen.size, finding };
      }
    }
    return { runs: count, signatures: seen.size, finding: null };
  } finally {
    await subject.close?.();
  }
}

/** What is wrong with one input, or null. */
export async function check(target: Target, input: Uint8Array): Promise<string | null> {
  const subject = await target.open();
  try {
    return (await attempt(subject, input, target.msMax)).problem;
  } finally {
    await subject.close?.();
  }
}

/** Makes a failing input small, on a subject that has seen nothing else. */
async function examine(target: Target, seed: number, input: Uint8Array): Promise<Finding> {
  const problem = await check(target, input);
  if (problem === null) {
    const told = "Failed once, and not by itself: run the seed again";
    return { target: target.name, seed, input, problem: told, alone: false };
  }
  const kind = kindOf(problem);
  const subject = await target.open();
  const small = await minimise(
    input,
    async (candidate) => kindOf((await attempt(subject, candidate, target.msMax)).problem ?? "") === kind,
    minimiseTries,
  );
  await subject.close?.();
  const last = await check(target, small);
  if (last === null) return { target: target.name, seed, input, problem, alone: true };
  return { target: target.name, seed, input: small, problem: last, alone: true };
}

/** Problems that differ in values alone are the same. */
function kindOf(problem: string): string {
  return (problem.split("\n", 1)[0] ?? "").replace(/"(\\.|[^"\\])*"|\d+/g, "#").slice(0, 80);
}

interface Attempt {
  readonly problem: string | null;
  readonly signature: string;
}

async function attempt(subject: Subject, input: Uint8Array, msMax: number = msMaxDefault): Promise<Attempt> {
  // The machine may be busy: only what is slow three times is slow.
  let fastest = Infinity;
  let signature = "";
  for (let round = 0; round < 3 && fastest > msMax; round++) {
    const start = performance.now();
    try {
      const reached = subject.run(input);
      signature = typeof reached === "string" ? reached : await reached;
    } catch (error) {
      return { problem: error instanceof Error ? (error.stack ?? error.message) : String(error), signature: "" };
    }
    fastest = Math.min(fastest, performance.now() - start);
  }
  const slow = fastest > msMax ? `Takes ${fastest.toFixed(0)} ms for ${input.length} bytes` : null;
  return { problem: slow, signature };
}

function heapBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}
