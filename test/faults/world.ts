/** What publishers, subscribers and faults have in common: the instances, the tags, the truth, and what was counted. */
import type { Random } from "../harness/random.ts";
import type { Instances } from "./instances.ts";
import { LiveLedger } from "./live.ts";
import { FaultTimes, TagTruth } from "./truth.ts";
import { Verdict } from "./verdict.ts";

/** First levels of tags, each with a place of its own in a Redis Cluster. */
export const groups = 10;

export interface Counts {
  acknowledged: number;
  repeated: number;
  retried: number;
  deliveries: number;
  reconnects: number;
  refusedSubscribes: number;
  /** Op 20 by code. */
  readonly gaps: Map<number, number>;
  /** Acknowledged messages that a subscription did not get, and was told so. */
  toldLosses: number;
  liveExpected: number;
  liveTold: number;
  liveUnknowable: number;
  /** Times that a master was replaced by another although no fault was on. */
  unplanned: number;
}

export class World {
  readonly instances: Instances;
  readonly random: Random;
  readonly verdict: Verdict;
  readonly faults = new FaultTimes();
  readonly live = new LiveLedger();
  /** Tags with a log. */
  readonly tags: readonly string[];
  readonly truths: ReadonlyMap<string, TagTruth>;
  readonly liveTags: readonly string[];
  readonly counts: Counts = {
    acknowledged: 0,
    repeated: 0,
    retried: 0,
    deliveries: 0,
    reconnects: 0,
    refusedSubscribes: 0,
    gaps: new Map(),
    toldLosses: 0,
    liveExpected: 0,
    liveTold: 0,
    liveUnknowable: 0,
    unplanned: 0,
  };

  constructor(instances: Instances, random: Random, tagCount: number, onViolation: (text: string) => void) {
    this.instances = instances;
    this.random = random;
    this.verdict = new Verdict(onViolation);
    this.tags = Array.from({ length: tagCount }, (_, i) => `k${i % groups}/log/${i}`);
    this.liveTags = Array.from({ length: groups }, (_, i) => `k${i}/live/${i}`);
    this.truths = new Map(this.tags.map((tag) => [tag, new TagTruth(tag, this.verdict, this.faults)]));
  }

  truth(tag: string): TagTruth {
    const truth = this.truths.get(tag);
    if (truth === undefined) throw new Error(`A message of a tag that nobody publishes to: ${tag}`);
    return truth;
  }

  gap(code: number): void {
    this.counts.gaps.set(code, (this.counts.gaps.get(code) ?? 0) + 1);
  }
}
