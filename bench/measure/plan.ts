/** What is run in which order: case by case, in rounds in which every contender has one turn, the order reversed each round. */
import type { Peer } from "../peers/peer.ts";
import type { Case, Workload } from "../results.ts";

/** A peer as it takes part in this run: two versions of one peer are two contenders. */
export interface Contender {
  /** Name in the results. */
  readonly name: string;
  readonly peer: Peer;
  /** As `CaseContext.checkout`. */
  readonly checkout?: string;
}

export interface PlannedCase {
  readonly workload: Workload;
  readonly case: Case;
  readonly contenders: readonly Contender[];
}

export interface Step {
  /** From 1. */
  readonly round: number;
  readonly planned: PlannedCase;
  readonly contender: Contender;
}

export interface Selection {
  /** Beginnings of names; none: all. */
  readonly workloads: readonly string[];
  /** Parts of names; a case needs one of them. None: all. */
  readonly cases: readonly string[];
  readonly smoke: boolean;
}

/** The cases that were asked for, with those of `contenders` whose peer takes part in them. */
export function planCases(
  workloads: readonly Workload[],
  selection: Selection,
  contenders: readonly Contender[],
): readonly PlannedCase[] {
  const named = ({ name }: Workload) =>
    selection.workloads.length === 0 || selection.workloads.some((wish) => name.startsWith(wish));
  const wanted = (item: Case) =>
    (selection.cases.length === 0 || selection.cases.some((part) => item.name.includes(part))) &&
    (!selection.smoke || item.smoke === true);
  return workloads
    .filter(named)
    .flatMap((workload) => workload.cases.filter(wanted).map((item) => ({ workload, case: item })))
    .map((found) => ({ ...found, contenders: contenders.filter(({ peer }) => found.case.peers.includes(peer.name)) }))
    .filter(({ contenders }) => contenders.length > 0);
}

export function stepsOf(planned: PlannedCase, rounds: number): readonly Step[] {
  const steps: Step[] = [];
  for (let round = 1; round <= rounds; round++) {
    const order = round % 2 === 1 ? planned.contenders : planned.contenders.toReversed();
    for (const contender of order) steps.push({ round, planned, contender });
  }
  return steps;
}
