/**
 * A subscription to a pattern with wildcards starts in many logs at once: each tag named in `since` is recovered by
 * itself, the others are listed with their positions, and `last` and `retain` apply to each.
 */
import type { Broker, LogPosition, Page } from "../broker/broker.ts";
import type { Position } from "../core/position.ts";
import type { Recovery } from "../core/recovery.ts";
import { settle } from "../lib/settle.ts";
import type { ResultValue } from "../wire/messages.ts";
import { LocalLog } from "./local-log.ts";
import type { LogFeed } from "./log-feed.ts";
import type { Sinks } from "./sinks.ts";
import type { Space, TagState } from "./space.ts";
import type { StartingPoint } from "./starting-point.ts";
import { startingPoint } from "./starting-point.ts";
import type { Opening } from "./subscriptions.ts";

/** Tags with a log that an answer lists by name. */
const unseenMax = 256;
/** Logs whose last messages one subscribe may deliver. */
const retainedMax = 4096;

interface Parts {
  readonly broker: Broker;
  readonly feed: LogFeed;
  readonly sinks: Sinks;
  readonly recovery: Recovery;
  readonly opening: Opening;
}

type Answered = (result: Record<string, ResultValue>, recover: () => void) => void;

/** Reads what is needed and hands over the answer and what is to be done after it. */
export function recoverWildcard(parts: Parts, answered: Answered, failed: () => void): void {
  const { opening, broker } = parts;
  const { space } = opening;
  const { pattern, since } = opening.message;
  if (!space.rules.some((rule) => rule.history !== null)) return answered({}, () => {});
  const named = since instanceof Map ? (since as ReadonlyMap<string, Position>) : new Map<string, Position>();
  settle(
    broker.logs(space.app, pattern, retainedMax),
    ({ logs, more }) => {
      openNamed({
        parts,
        named: [...named],
        starts: [],
        failed,
        done: (starts) => finish(parts, { logs, more, starts }, answered),
      });
    },
    failed,
  );
}

interface NamedStart {
  readonly state: TagState;
  readonly start: StartingPoint;
}

/** Opening the logs named in `since`, one after the other. */
interface Walk {
  readonly parts: Parts;
  readonly named: [string, Position][];
  readonly starts: NamedStart[];
  readonly done: (starts: NamedStart[]) => void;
  readonly failed: () => void;
}

function openNamed(walk: Walk): void {
  const { parts, named, starts } = walk;
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
  readonly starts: readonly NamedStart[];
}

function finish(parts: Parts, { logs, more, starts }: Found, answered: Answered): void {
  const { subscription, message } = parts.opening;
  if (subscription.phase === "ended") return;
  const result: Record<string, ResultValue> = {};
  if (message.since !== null) {
    result["positions"] = new Map(
      starts.map(({ state, start }) => [state.tag, [start.position.epoch, start.position.offset]]),
    );
    const lost = starts.filter(({ start }) => start.recovered === false).map(({ state }) => state.tag);
    if (lost.length > 0) result["lost"] = lost;
  }
  const named = new Set(starts.map(({ state }) => state.tag));
  const others = logs
    .filter(({ tag }) => !named.has(tag))
    .map((log) => ({ log, state: known(parts.opening.space, log) }));
  result["unseen"] = others
    .slice(0, unseenMax)
    .map(({ state, log }) => [state.tag, log.epoch, (state.log as LocalLog).top]);
  if (more || others.length > unseenMax) result["more"] = true;
  if (!more) subscription.topic.listedAll = true;
  answered(result, () => {
    for (const { state, start } of starts) recoverNamed(parts, state, start);
    for (const { state, log } of others) recoverLast(parts, state, log);
  });
}

function recoverNamed({ opening, sinks }: Parts, state: TagState, { gap, cursor }: StartingPoint): void {
  const { subscription } = opening;
  if (gap !== null) {
    const detail = gap.epoch === undefined ? { code: gap.code.code } : { code: gap.code.code, epoch: gap.epoch };
    subscription.attachment.subscriber.frames.gap(state.tag, gap.from, gap.to, detail);
  }
  if (cursor !== state.log?.top) sinks.open(subscription).recover(state, cursor);
}

function recoverLast({ opening, sinks, recovery }: Parts, state: TagState, log: LogPosition): void {
  const { last } = opening.message;
  if ((last === null && !state.rule.retain) || state.log === null) return;
  const page: Page = { ...log, messages: [] };
  const { cursor } = startingPoint({ since: null, last, retain: state.rule.retain }, page, state.log, recovery);
  if (cursor < state.log.top) sinks.open(opening.subscription).recover(state, cursor);
}

/** The state of a listed log. Nothing up to its top will come live: the subscription starts there. */
function known(space: Space, { tag, epoch, top }: LogPosition): TagState {
  const state = space.tag(tag);
  state.log ??= new LocalLog("live", epoch, top);
  return state;
}
