/**
 * The three decisions that make recovery free of loss and doubles, as pure functions: what to do with an offset of the
 * feed, where a client with a position continues, and what a log no longer holds.
 */
import type { GapCode } from "./codes.ts";
import { gaps } from "./codes.ts";
import type { Position } from "./position.ts";

/**
 * In a log that has replaced the one of `since`. Where it holds all that the client has it goes on from there; what the one before
 * held beyond may be lost even so, as where a replica took over that had less, and this is told as to those who were connected.
 */
function resumeAnew({ epoch, offset }: Position, { oldest, previous, ...log }: LogState): Resumption {
  const goesOn = epoch === previous?.epoch && offset <= previous.offset;
  const to = goesOn ? Math.max(offset, oldest - 1) : oldest - 1;
  const gap = { from: null, to, code: gaps.epochChanged, epoch: log.epoch };
  return { recovered: goesOn && to === offset, cursor: to, gap };
}

/** What a log says of itself: see `Page` of the broker contract. */
export interface LogState {
  readonly epoch: number;
  readonly top: number;
  readonly oldest: number;
  readonly previous?: { readonly epoch: number; readonly offset: number };
}

/** Messages that will not be delivered. `from` is null where no offset of this epoch stands for them. */
export interface Gap {
  readonly from: number | null;
  readonly to: number;
  readonly code: GapCode;
  /** Given where the position is from now on `[epoch, to]`. */
  readonly epoch?: number;
  /** With `epoch`: messages up to `to` are those of the epoch before, and whoever is further back may go on from there. */
  readonly goesOn?: boolean;
}

/** Where a subscriber continues: everything after `cursor` is delivered; what before it was missed is told by `gap`. */
export interface Resumption {
  readonly recovered: boolean;
  readonly cursor: number;
  readonly gap: Gap | null;
}

export interface Recovery {
  /** What to do with `offset` of the feed when everything up to `top` has been delivered. */
  admit(top: number, offset: number): "next" | "old" | "hole";
  /** Where a client continues that has everything up to `since`. */
  resume(since: Position, log: LogState): Resumption;
  /** What is lost for a reader that has everything up to `cursor` of a log that holds nothing before `oldest`. */
  trimmed(cursor: number, oldest: number): Gap | null;
  /** The offset up to which a subscriber at `cursor` is to be sent messages before live delivery from `top` on may take over. */
  handover(cursor: number, top: number): number;
}

export const recovery: Recovery = {
  admit(top, offset) {
    if (offset <= top) return "old";
    return offset === top + 1 ? "next" : "hole";
  },

  resume(since, log) {
    if (since.epoch !== log.epoch || since.offset > log.top) return resumeAnew(since, log);
    const gap = this.trimmed(since.offset, log.oldest);
    return gap === null
      ? { recovered: true, cursor: since.offset, gap }
      : { recovered: false, cursor: log.oldest - 1, gap };
  },

  trimmed(cursor, oldest) {
    return oldest > cursor + 1 ? { from: cursor + 1, to: oldest - 1, code: gaps.trimmed } : null;
  },

  handover(_cursor, top) {
    return top;
  },
};
