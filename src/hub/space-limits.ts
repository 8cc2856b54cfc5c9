/** Bounds on what the clients of one application can make grow on an instance, and what happens at them. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { PatternTrie } from "../core/pattern-trie.ts";

/** Absent: without a bound. */
export interface SpaceLimits {
  readonly subscriptionsTotalMax?: number;
  /** Levels of all patterns with wildcards. */
  readonly patternLevelsMax?: number;
  /** Topics remembered for tags that several topics match. */
  readonly matchesMax?: number;
  /** States of tags that nobody here subscribes to by name; beyond it the least recently made are forgotten. */
  readonly tagsMax?: number;
  /** Members of tags with presence. */
  readonly membersMax?: number;
}

/** For metrics: what an application takes of this instance. */
export interface SpaceMeter {
  readonly subscriptions: number;
  /** Tags that have a state, and positions kept of logs whose tags have none. */
  readonly tags: number;
  readonly positions: number;
  readonly patternLevels: number;
  readonly matches: number;
  /** Bytes of the newest messages of logs, kept for those who lag behind. */
  readonly tailBytes: number;
}

/** What there is now. */
export interface SpaceFigures {
  readonly subscriptions: number;
  readonly members: number;
  readonly wildcards: Pick<PatternTrie<unknown>, "levels" | "levelsMissing">;
}

/** What a subscription needs. */
export interface Wish {
  readonly pattern: string;
  readonly wildcard: boolean;
  /** Whether it makes a member of a tag. */
  readonly presence: boolean;
}

export function bounded(limits: SpaceLimits): Required<SpaceLimits> {
  return {
    subscriptionsTotalMax: limits.subscriptionsTotalMax ?? Infinity,
    patternLevelsMax: limits.patternLevelsMax ?? Infinity,
    matchesMax: limits.matchesMax ?? Infinity,
    tagsMax: limits.tagsMax ?? Infinity,
    membersMax: limits.membersMax ?? Infinity,
  };
}

/** Whether one more subscription has room. @throws ProtocolError `limitExceeded` */
export function assertRoom(limits: Required<SpaceLimits>, now: SpaceFigures, wish: Wish): void {
  if (now.subscriptions >= limits.subscriptionsTotalMax) {
    throw noRoom("The server has no room for another subscription");
  }
  if (wish.presence && now.members >= limits.membersMax) throw noRoom("The server has no room for another member");
  if (!wish.wildcard) return;
  if (now.wildcards.levels + now.wildcards.levelsMissing(wish.pattern) > limits.patternLevelsMax) {
    throw noRoom("The server has no room for another pattern with wildcards");
  }
}

function noRoom(text: string): ProtocolError {
  return new ProtocolError(errors.limitExceeded, text);
}
