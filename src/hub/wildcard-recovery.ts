/**
 * A subscription to a pattern with wildcards starts in many logs at once: each tag named in `since` is recovered by
 * itself, the others are listed with their positions, and `last` and `retain` apply to each.
 */
import type { Broker, LogPosition, Page } from "../broker/broker.ts";
import type { Position } from "../core/position.ts";
import type { Recovery } from "../core/recovery.ts";
import type { Settle } from "../lib/settle.ts";
import type { ResultValue } from "../wire/messages.ts";
import { gaps } from "../core/codes.ts";
import { literalPrefix, matcherOf } from "../core/tag.ts";
import type { LocalLog } from "./local-log.ts";
import type { LogFeed } from "./log-feed.ts";
import type { Sinks } from "./sinks.ts";
import type { TagState } from "./space.ts";
import type { StartingPoint } from "./starting-point.ts";
import { startingPoint, startOf, tellStart } from "./starting-point.ts";
import type { Deliveries } from "./subscriber.ts";
import { deliveriesOf } from "./subscriber.ts";
import type { Opening } from "./subscriptions.ts";

/** Tags with a log that an answer lists by name. */
const unseenMax = 256;
/** Logs whose last messages one subscribe may deliver. */
const retainedMax = 4096;
/** Logs whose positions are noted when the first one subscribes, so that what the feed loses of them is noticed. */
export const tracedMax = 65_536;

interface Parts {
  readonly broker: Broker;
  readonly feed: LogFeed;
  readonly sinks: Sinks;
  readonly recovery: Recovery;
  readonly settle: Settle;
  readonly opening: Opening;
}

type Answered = (result: Record<string, ResultValue>, recover: () => void) => void;

/** Reads what is needed and hands over the answer and what is to be done after it. */
export function recoverWildcard(parts: Parts, answered: Answered, failed: () => void): void {
  const { opening, broker } = parts;
  const { space } = opening;
  const { pattern, since } = opening.message;
  const forgottenBefore = space.forgottenLogs.additions;
  // Where no log can match, none has to be read: a broker that cannot read any is no reason to refuse.
  const isLive = since === null && !space.mayKeepLog(pattern);
  if (isLive || !space.rules.some((rule) => rule.history !== null)) return answered({}, () => {});
  const named = since instanceof Map ? (since as ReadonlyMap<string, Position>) : new Map<string, Position>();
  parts.settle(
    broker.logs(space.app, pattern, listMax(parts)),
    (listed) => {
      openNamed({
        parts,
        named: [...named],
        starts: [],
        failed,
        done: (starts) => finish(parts, { ...listed, forgottenBefore, starts }, { answered, failed }),
      });
    },
    failed,
  );
}

function listMax({ opening, broker }: Parts): number {
  const { topic } = opening.subscription;
  const isTraced = broker.comparison === undefined || topic.listedAll || opening.space.untraceable.has(topic);
  return isTraced ? retainedMax : tracedMax;
}

/** Where the delivery of one log starts. */
interface Started {
  readonly state: TagState;
  readonly since: Position | null;
  readonly start: StartingPoint;
}

/** Opening the logs named in `since`, one after the other. */
interface Walk {
  readonly parts: Parts;
  readonly named: [string, Position][];
  readonly starts: Started[];
  readonly done: (starts: Started[]) => void;
  readonly failed: () => void;
}

function openNamed(walk: Walk): void {
  const { parts, named, starts } = walk;
  // Without interest nobody would say when what was read is too old.
  if (parts.opening.subscription.phase === "ended") return;
  for (let next = named.pop(); next !== undefined; next = named.pop()) {
    const [tag, since] = next;
    const state = parts.opening.space.tag(tag);
    if (!state.keepsLog) continue;
    // An answer that comes at once is followed by the next turn of this loop, a later one starts the loop anew.
    let looping = true;
    let answered = false;
    const opened = (page: Page) => {
      answered = true;
      if (state.log !== null) {
        starts.push({
          state,
          since,
          start: startingPoint({ since, last: null, retain: false }, page, state.log, parts.recovery),
        });
      }
      if (!looping) openNamed(walk);
    };
    parts.feed.open(state, since.offset, opened, walk.failed);
    looping = false;
    if (!answered) return;
  }
  walk.done(starts);
}

interface Found {
  readonly logs: readonly LogPosition[];
  readonly more: boolean;
  /** How many logs had been forgotten by the time they were listed. */
  readonly forgottenBefore: number;
  readonly starts: readonly Started[];
}

interface Outcome {
  readonly answered: Answered;
  readonly failed: () => void;
}

function finish(parts: Parts, found: Found, outcome: Outcome): void {
  const { subscription, message, space } = parts.opening;
  if (subscription.phase === "ended") return;
  const { more } = found;
  const logs = found.logs.slice(0, retainedMax);
  const named = found.starts.map((started) => current(parts, started));
  const tags = new Set(named.map(({ state }) => state.tag));
  const others = logs.filter(({ tag }) => !tags.has(tag)).map((log) => startOther(parts, log));
  for (const { tag } of logs) tags.add(tag);
  const appeared = more || found.logs.length > logs.length ? [] : appearedIn(parts, found, tags);
  const unread = appeared.find(({ log }) => log?.state === "opening");
  // Its position is being read, for somebody else: it must be known before this goes on.
  if (unread) return parts.feed.open(unread, 0, () => finish(parts, found, outcome), outcome.failed);
  const result: Record<string, ResultValue> = {};
  if (message.since !== null) {
    result["positions"] = new Map(named.map(({ state, start }) => [state.tag, wirePosition(start)]));
    const lost = named.filter(({ start }) => start.recovered === false).map(({ state }) => state.tag);
    if (lost.length > 0) result["lost"] = lost;
  }
  result["unseen"] = others.slice(0, unseenMax).map(listed);
  if (more || others.length > unseenMax) result["more"] = true;
  for (const log of found.logs.slice(retainedMax)) parts.feed.trace(space, log);
  if (!more) subscription.topic.listedAll = true;
  else if (found.logs.length > retainedMax) space.untraceable.add(subscription.topic);
  outcome.answered(result, () => {
    const deliveries = deliveriesOf(subscription.attachment.subscriber, message.pattern);
    for (const started of [...named, ...others, ...appeared.map(fromTheBeginning)]) recover(parts, deliveries, started);
  });
}

function recover({ opening, sinks }: Parts, deliveries: Deliveries, { state: started, since, start }: Started): void {
  // So many logs may have been opened since then that this one's state was given up.
  const state = opening.space.tag(started.tag);
  if (start.gap !== null) sinks.countGap(start.gap.code.code);
  tellStart(deliveries, { topic: opening.subscription.topic, tag: state.tag, since, start });
  if (start.cursor !== state.log?.top) sinks.open(opening.subscription).recover(state, start.cursor);
}

/** An entry of `unseen`. */
function listed({ state, start }: Started): ResultValue {
  const from = startOf(start);
  return [state.tag, ...wirePosition(start), ...(from === undefined ? [] : [from])];
}

function wirePosition({ position }: StartingPoint): readonly [number, number] {
  return [position.epoch, position.offset];
}

/** A start that was found while other logs were still to be opened, as it is now. */
function current({ opening, feed }: Parts, { state: opened, since, start }: Started): Started {
  const state = opening.space.tag(opened.tag);
  const { epoch, top } = feed.adopt(state, { epoch: start.position.epoch, top: start.position.offset });
  if (epoch === start.position.epoch) {
    const position = { epoch, offset: Math.max(top, start.recovered ? start.cursor : 0) };
    return { state, since, start: { ...start, position } };
  }
  const gap = { from: null, to: 0, code: gaps.epochChanged, epoch };
  return { state, since, start: { recovered: false, cursor: 0, gap, position: { epoch, offset: top } } };
}

/** A log that `since` does not name: what `last` and `retain` ask of it, or all where it began since then. */
function startOther({ opening, feed, recovery }: Parts, log: LogPosition): Started {
  const { last, sinceNamesAll = false } = opening.message;
  const state = opening.space.tag(log.tag);
  const local = feed.adopt(state, log);
  const { epoch, top } = local;
  const since = sinceNamesAll ? { epoch, offset: 0 } : null;
  const page: Page = { epoch, top, oldest: log.epoch === epoch ? log.oldest : 1, messages: [] };
  const wish = { since, last, retain: state.rule.retain };
  return { state, since, start: startingPoint(wish, page, local, recovery) };
}

/** Logs that are served here and were not listed: they were empty then, or not these logs. All that they hold came since. */
function appearedIn({ opening }: Parts, { forgottenBefore }: Found, listed: ReadonlySet<string>): TagState[] {
  const { space } = opening;
  const { pattern } = opening.message;
  const literal = literalPrefix(pattern);
  const isMatch = matcherOf(pattern);
  const found: TagState[] = [];
  const isNew = (tag: string) => tag.startsWith(literal) && !listed.has(tag) && isMatch(tag);
  for (const state of space.logged(pattern)) if (isNew(state.tag)) found.push(state);
  // Those that appeared and were forgotten meanwhile; to remember one may take forgetting another.
  for (const tag of [...space.forgottenLogs.addedSince(forgottenBefore)]) {
    if (isNew(tag) && space.known(tag) !== null) found.push(space.tag(tag));
  }
  return found;
}

function fromTheBeginning(state: TagState): Started {
  const { epoch } = state.log as LocalLog;
  return { state, since: null, start: { recovered: null, cursor: 0, gap: null, position: { epoch, offset: 0 } } };
}
