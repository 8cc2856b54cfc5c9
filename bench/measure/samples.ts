/** Takes the samples of a plan one after the other, and goes on where one cannot be taken. */
import type { Problem, Sample } from "../results.ts";
import { type PlannedCase, type Step, stepsOf } from "./plan.ts";
import { RemainingTime } from "./remaining.ts";

const root = new URL("../../", import.meta.url).pathname;

export interface SamplingOptions {
  readonly rounds: number;
  readonly scale: number;
  /** A sample that takes longer has failed. */
  readonly deadlineMs: number;
  /** Nothing is begun after it is set. */
  readonly signal: AbortSignal;
}

export interface Progress {
  /** `leftSeconds`: of everything; null: not known yet. */
  begins(step: Step, nth: number, of: number, leftSeconds: number | null): void;
  failed(problem: Problem): Promise<void>;
  /** All rounds of a case are through. */
  caseEnded(planned: PlannedCase, samples: readonly Sample[], all: Taken): Promise<void>;
}

export interface Taken {
  readonly samples: readonly Sample[];
  readonly problems: readonly Problem[];
}

export async function takeSamples(
  plan: readonly PlannedCase[],
  options: SamplingOptions,
  progress: Progress,
): Promise<Taken> {
  const remaining = new RemainingTime(plan.flatMap((planned) => stepsOf(planned, options.rounds)));
  const total = plan.reduce((sum, { contenders }) => sum + contenders.length * options.rounds, 0);
  const samples: Sample[] = [];
  const problems: Problem[] = [];
  let nth = 0;
  for (const planned of plan) {
    const before = samples.length;
    for (const step of stepsOf(planned, options.rounds)) {
      if (options.signal.aborted) return { samples, problems };
      progress.begins(step, ++nth, total, remaining.left());
      const begun = performance.now();
      const outcome = await takeSample(step, options);
      remaining.ended((performance.now() - begun) / 1000);
      if (options.signal.aborted) return { samples, problems };
      if ("error" in outcome) {
        problems.push(outcome);
        await progress.failed(outcome);
      } else samples.push(outcome);
    }
    await progress.caseEnded(planned, samples.slice(before), { samples, problems });
  }
  return { samples, problems };
}

async function takeSample(step: Step, { scale, deadlineMs }: SamplingOptions): Promise<Sample | Problem> {
  const { planned, contender, round } = step;
  const place = { round, workload: planned.workload.name, case: planned.case.name, peer: contender.name, scale };
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Not done after ${deadlineMs / 1000} s`)), deadlineMs);
  try {
    const { peer, checkout } = contender;
    const context = { peer, scale, ...(checkout === undefined ? {} : { checkout }) };
    return { ...place, ...(await Promise.race([planned.case.sample(context), late])) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // Where it stands on this machine is nobody's business.
    return { ...place, error: text.replaceAll(root, "") };
  } finally {
    clearTimeout(timer);
  }
}
