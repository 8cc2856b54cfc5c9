/**
 * What a subscribe asks for, and what the answer means for the positions of the subscription: what was recovered, what
 * is missing, and which logs have to be read by the client itself.
 */
import type { Position } from "../core/position.ts";
import { wireLimits } from "../wire/messages.ts";
import { asFields, asList, asPosition, asStart, asUnseen, type Fields } from "./inbound.ts";
import type { Positions } from "./positions.ts";

/** What was asked for. */
export interface Asked {
  readonly pattern: string;
  /** Tags whose position was sent; null: none was. */
  readonly since: ReadonlySet<string> | null;
  /** Nothing was subscribed to or recovered before. */
  readonly fresh: boolean;
  /** The token grants no history: what is missing cannot be read. */
  readonly denied: boolean;
  /** Whether a message without an offset came through this subscription: what it missed of that kind cannot be known. */
  readonly live: boolean;
}

/** A log to be read from the subscription's position on; `announced`: after it everything is delivered, where the server told. */
export interface Hole {
  readonly tag: string;
  readonly announced: Position | null;
}

/** The option `since`: a position for a tag, positions by tag for a pattern with wildcards; null where none is known. */
export function sinceOption(
  positions: Positions,
  pattern: string,
  wild: boolean,
): { tags: ReadonlySet<string>; wire: unknown } | null {
  const tags = wild ? [...positions.tags()].slice(0, wireLimits.sincePerPatternMax) : [pattern];
  const known = tags.flatMap((tag) => {
    const position = positions.get(tag);
    return position ? [[tag, [position.epoch, position.offset]] as const] : [];
  });
  const [first] = known;
  // Nothing was there when all was listed: whatever is there now came since.
  if (first === undefined) return wild && positions.complete ? { tags: new Set(), wire: {} } : null;
  return { tags: new Set(tags), wire: wild ? Object.fromEntries(known) : first[1] };
}

/** The answer for one tag. */
export function settleTag(positions: Positions, asked: Asked, result: Fields): void {
  const tag = asked.pattern;
  const position = asStart(result["position"], result["start"]);
  if (position === null) {
    positions.delete(tag);
    if (!asked.fresh) positions.raise("away", tag);
  } else if (asked.since === null) {
    if (!asked.fresh) tellDenied(positions, tag, position);
    else positions.set(tag, position);
  } else if (result["recovered"] === true) positions.resume(tag, position.epoch);
  else positions.miss(tag, position.epoch);
}

/** The answer for a pattern with wildcards: returns the logs that the server left to the client. */
export function settlePattern(positions: Positions, asked: Asked, result: Fields): Hole[] {
  const unseen = asUnseen(result["unseen"]);
  const more = result["more"] === true || !Array.isArray(result["unseen"]);
  settleNamed(positions, asked.since, result);
  if (asked.fresh) {
    for (const [tag, position] of unseen) positions.set(tag, position);
    positions.complete = !more;
    return [];
  }
  if (more || asked.live || (positions.size === 0 && !positions.complete)) positions.raise("away", asked.pattern);
  const holes: Hole[] = [];
  for (const [tag, position] of unseen)
    if (isHole(positions, asked, tag, position)) holes.push({ tag, announced: position });
  for (const tag of [...positions.tags()]) {
    if (asked.since?.has(tag) || unseen.has(tag)) continue;
    // Not among the matching tags any more, unless not all of these were listed.
    if (!more) positions.delete(tag);
    else if (!asked.denied) holes.push({ tag, announced: null });
  }
  if (more) positions.complete = false;
  return holes;
}

function settleNamed(positions: Positions, since: ReadonlySet<string> | null, result: Fields): void {
  const heads = asFields(result["positions"]);
  const lost = new Set(asList(result["lost"]));
  for (const tag of since ?? []) {
    const position = asPosition(heads[tag]);
    const known = position ?? positions.get(tag);
    if (lost.has(tag) && known) positions.miss(tag, known.epoch);
    else if (position) positions.resume(tag, position.epoch);
    else {
      positions.delete(tag);
      positions.raise("not-recovered", tag);
    }
  }
}

/** Whether a tag that was not named has messages to be read; where they cannot be, the gap is told. */
function isHole(positions: Positions, asked: Asked, tag: string, announced: Position): boolean {
  const known = positions.get(tag);
  if (known && known.epoch === announced.epoch && known.offset >= announced.offset) return false;
  if (known === null && announced.offset === 0) {
    positions.set(tag, announced);
    return false;
  }
  if (asked.denied) {
    tellDenied(positions, tag, announced);
    return false;
  }
  if (known === null && !positions.complete) {
    // It may have been there all the time, unlisted: reading it whole could deliver what is older than the subscription.
    positions.raise("away", tag, { to: announced.offset, epoch: announced.epoch });
    positions.set(tag, announced);
    return false;
  }
  if (known === null) positions.set(tag, { epoch: announced.epoch, offset: 0 });
  return true;
}

/** Subscribed again without a position: what lies between what is known and `start` was missed. */
function tellDenied(positions: Positions, tag: string, start: Position): void {
  const known = positions.get(tag);
  const same = known?.epoch === start.epoch;
  if (same && known.offset >= start.offset) return;
  positions.raise("denied", tag, {
    from: same ? known.offset + 1 : null,
    to: start.offset,
    epoch: same ? null : start.epoch,
  });
  positions.set(tag, start);
}
