/**
 * Who is here: members join by subscribing to a tag whose rule has presence. The broker keeps the list; what changes is
 * gathered for a moment and told to those who asked, or as a mere count where there are many.
 */
import type { Answer, Broker, Member, Members, PresenceEvent } from "../broker/broker.ts";
import { membersListedMax } from "../core/presence.ts";
import type { Clock } from "../lib/clock.ts";
import type { Settle } from "../lib/settle.ts";
import type { PresenceChange } from "../wire/frames.ts";
import type { ResultValue } from "../wire/messages.ts";
import { Raw } from "../wire/messages.ts";
import type { Subscription } from "./attachment.ts";
import type { Distributor } from "./distributor.ts";
import type { Space, TagState } from "./space.ts";
import type { Topic } from "./topic.ts";

/** How long joins and leaves of a tag are gathered. */
export const gatherMs = 200;
/** Lists of members read at a time after an outage. */
const readsMax = 16;

/** Changes of one tag since the last event; keyed by client and generation, so the newest fact about a member wins. */
interface Gathered {
  readonly topic: Topic;
  readonly joined: Map<string, Member>;
  readonly left: Map<string, Member>;
  version: number;
  count: number;
}

export interface PresenceParts {
  readonly broker: Broker;
  readonly distributor: Distributor;
  readonly clock: Clock;
  readonly spaces: ReadonlyMap<string, Space>;
  readonly settle: Settle;
}

export class Presence {
  readonly #broker: Broker;
  readonly #distributor: Distributor;
  readonly #clock: Clock;
  readonly #spaces: ReadonlyMap<string, Space>;
  readonly #settle: Settle;
  readonly #gathered = new Map<Topic, Gathered>();
  #scheduled = false;

  constructor(parts: PresenceParts) {
    this.#broker = parts.broker;
    this.#distributor = parts.distributor;
    this.#clock = parts.clock;
    this.#spaces = parts.spaces;
    this.#settle = parts.settle;
  }

  /** Makes the subscription's connection a member of its tag. */
  join(subscription: Subscription, state: TagState, info: Uint8Array | null): Answer<void> {
    const { client, generation } = subscription.attachment.subscriber;
    subscription.member = { client, generation, info: info?.slice() ?? null };
    return this.#broker.join(state.space.app, state.tag, subscription.member);
  }

  leave(subscription: Subscription): void {
    const { member, state } = subscription;
    if (member === null || state === null) return;
    subscription.member = null;
    this.#settle(this.#broker.leave(state.space.app, state.tag, member), ignore, ignore);
  }

  members(state: TagState): Answer<Members> {
    return this.#broker.members(state.space.app, state.tag);
  }

  /** Joins or leaves the tag's presence topic. */
  hear(subscription: Subscription, on: boolean): void {
    const { native, frames } = subscription.attachment.subscriber;
    if (native === null || subscription.hearsPresence === on) return;
    // A slow socket hears of the members once it has caught up.
    if (on && subscription.attachment.slowSinceMs !== null) return;
    subscription.hearsPresence = on;
    this.#flush(subscription.topic);
    if (on) subscription.topic.joinPresence(native, frames.lane, this.#distributor);
    else subscription.topic.leavePresence(native, frames.lane);
  }

  /** Back from being slow: events were missed, so the count as it is now is told. */
  resume(subscription: Subscription): void {
    const { state } = subscription;
    if (!subscription.wantsPresence || subscription.hearsPresence || state === null) return;
    this.hear(subscription, true);
    this.#settle(
      this.members(state),
      ({ version, count }) => {
        if (subscription.phase === "ended") return;
        const { frames } = subscription.attachment.subscriber;
        frames.presence({ tag: state.tag, version, joined: null, left: null, count });
        subscription.attachment.subscriber.flushLater();
      },
      ignore,
    );
  }

  /** From the broker's feed. */
  changed(event: PresenceEvent): void {
    const topic = this.#spaces.get(event.app)?.find(event.tag)?.exact ?? null;
    if (topic === null || !isHeard(topic)) return;
    let gathered = this.#gathered.get(topic);
    if (gathered === undefined) {
      gathered = { topic, joined: new Map(), left: new Map(), version: 0, count: 0 };
      this.#gathered.set(topic, gathered);
    }
    gathered.version = event.version;
    gathered.count = event.count;
    for (const member of event.joined) {
      gathered.joined.set(keyOf(member), member);
      gathered.left.delete(keyOf(member));
    }
    for (const member of event.left) {
      gathered.left.set(keyOf(member), member);
      gathered.joined.delete(keyOf(member));
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(gatherMs, () => this.#tellAll());
  }

  /** Changes may have been missed: whoever hears of a tag's members is told who they are now. */
  resynced(): void {
    const heard: [Topic, TagState][] = [];
    for (const space of this.#spaces.values()) {
      for (const [topic, state] of space.topics()) if (state !== null && isHeard(topic)) heard.push([topic, state]);
    }
    for (let i = Math.min(heard.length, readsMax); i > 0; i--) this.#retell(heard);
  }

  /** One after the other. */
  #retell(heard: [Topic, TagState][]): void {
    const [topic, state] = heard.pop() ?? [];
    if (topic === undefined || state === undefined) return;
    this.#settle(
      this.members(state),
      (members) => {
        this.#tellNow(topic, members);
        this.#clock.endOfTurn(() => this.#retell(heard));
      },
      // Away again: once it is back, this is asked for again.
      ignore,
    );
  }

  #tellNow(topic: Topic, { version, count, members }: Members): void {
    if ((this.#gathered.get(topic)?.version ?? 0) <= version) this.#gathered.delete(topic);
    this.#publish(topic, { tag: topic.pattern, version, joined: members, left: null, count });
  }

  #tellAll(): void {
    this.#scheduled = false;
    for (const gathered of this.#gathered.values()) this.#tell(gathered);
    this.#gathered.clear();
  }

  #tell({ topic, joined, left, version, count }: Gathered): void {
    const listed = count <= membersListedMax && joined.size + left.size <= membersListedMax;
    this.#publish(topic, {
      tag: topic.pattern,
      version,
      joined: listed ? [...joined.values()] : null,
      left: listed ? [...left.values()] : null,
      count,
    });
  }

  #publish(topic: Topic, change: PresenceChange): void {
    for (const lane of [topic.presenceMsgpack, topic.presenceJson]) {
      if (lane !== null) this.#distributor.gather(lane).presence(change);
    }
  }

  #flush(topic: Topic): void {
    this.#distributor.flushLane(topic.presenceMsgpack);
    this.#distributor.flushLane(topic.presenceJson);
  }
}

/** The answer of op 6, and of op 2 with `presence`. */
export function membersResult({ version, count, members }: Members): ResultValue {
  return {
    version,
    count,
    members:
      members?.map(({ client, generation, info }) => [client, generation, info === null ? null : new Raw(info)]) ??
      null,
  };
}

function isHeard({ presenceMsgpack, presenceJson }: Topic): boolean {
  return presenceMsgpack !== null || presenceJson !== null;
}

function keyOf(member: Member): string {
  return `${member.generation}\0${member.client}`;
}

function ignore(): void {
  // Presence is told anew by the broker once it is reachable again.
}
