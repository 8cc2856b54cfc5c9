/** Tells all subscribers of a topic that messages are missing: natively, and through sinks at their pace. */
import { gaps } from "../core/codes.ts";
import type { Gap } from "../core/recovery.ts";
import type { Distributor } from "./distributor.ts";
import type { TagState } from "./space.ts";
import type { Topic } from "./topic.ts";

export class GapNotices {
  readonly #distributor: Distributor;

  constructor(distributor: Distributor) {
    this.#distributor = distributor;
  }

  /** A hole in the log of a tag, or a new log. */
  ofLog(state: TagState, gap: Gap): void {
    for (const topic of state.topics) {
      const detail = { code: gap.code.code, epoch: gap.epoch, pattern: topic.name?.pattern };
      this.#tell(topic, state.tag, [gap.from, gap.to], detail);
      for (const sink of topic.sinks) sink.offerGap(state, gap);
    }
  }

  /** What other instances published, or logs that nobody here knew of: nobody can say what is missing. */
  cutOff(topic: Topic): void {
    this.#tell(topic, topic.pattern, [null, null], { code: gaps.disconnected.code });
    for (const sink of topic.sinks) sink.offerCutOff();
  }

  #tell(
    topic: Topic,
    name: string,
    [from, to]: readonly [number | null, number | null],
    detail: { readonly code: number; readonly epoch?: number | undefined; readonly pattern?: string | undefined },
  ): void {
    for (const lane of topic.lanes()) {
      this.#distributor.countGap(detail.code, lane.members);
      this.#distributor.gather(lane).gap(name, from, to, detail);
    }
  }
}
