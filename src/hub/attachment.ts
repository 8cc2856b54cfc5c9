/** What the hub keeps of one subscriber: its subscriptions, and whether it keeps up. */
import type { Member } from "../broker/broker.ts";
import type { ErrorCode } from "../core/codes.ts";
import { SmallMap } from "../lib/small-map.ts";
import type { Sink } from "./sink.ts";
import type { TagState } from "./space.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Topic, TopicLane } from "./topic.ts";

/**
 * One pattern of one subscriber.
 * `opening`: the broker is being asked · `native`: joined to its native topic · `sink`: served from JavaScript · `ended`.
 */
export class Subscription {
  readonly attachment: Attachment;
  readonly topic: Topic;
  /** The tag, where the pattern has no wildcard. */
  readonly state: TagState | null;
  phase: "opening" | "native" | "sink" | "ended" = "opening";
  /** Whether its tag goes by an alias is known once it is answered. */
  lane: TopicLane;
  sink: Sink | null = null;
  /** While it is opening: answers whoever asked for it that it will not be. */
  refuse: ((code: ErrorCode) => void) | null = null;
  /** Whether it wants presence events, and whether it is joined to their topic now. */
  wantsPresence = false;
  hearsPresence = false;
  /** The entry by which others see this subscription, where the tag has presence. */
  member: Member | null = null;
  /** Whether it counts as a member of its tag. */
  readonly countsAsMember: boolean;

  constructor(attachment: Attachment, topic: Topic, state: TagState | null) {
    this.attachment = attachment;
    this.lane = attachment.subscriber.frames.lane;
    this.topic = topic;
    this.state = state;
    this.countsAsMember = state?.rule.presence === true;
  }
}

export class Attachment {
  readonly subscriber: Subscriber;
  readonly subscriptions = new SmallMap<Subscription>();
  /** Monotonic time since which more than the soft mark has been buffered at every look, or null. */
  slowSinceMs: number | null = null;

  constructor(subscriber: Subscriber) {
    this.subscriber = subscriber;
  }
}
