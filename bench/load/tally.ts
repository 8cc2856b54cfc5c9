/**
 * Which messages have arrived, by receiver and stream: finds what was lost, doubled and reordered. A stream's messages
 * are numbered 1, 2, 3 …; as long as they come in this order, one comparison is all that a message costs.
 *
 *     last[receiver × streams + stream]: highest number so far      holes: what was passed over on the way there
 */

/** Of one receiver and stream; beyond it the oldest are forgotten: they stay lost, and would count as doubled if they came. */
const holesMax = 1000;
/** 256 MiB. */
const cellsMax = 2 ** 26;

/** Numbers from `from` to `to`, both included. */
interface Hole {
  readonly from: number;
  readonly to: number;
}

export class Arrivals {
  /** Each message counts once for each receiver. */
  delivered = 0;
  doubled = 0;
  /** Came after a message with a higher number. */
  reordered = 0;
  readonly #receivers: number;
  readonly #streams: number;
  readonly #last: Int32Array;
  /** By index in `last`. */
  readonly #holes = new Map<number, Hole[]>();

  constructor(receivers: number, streams: number) {
    if (receivers * streams > cellsMax)
      throw new Error(`Too many receivers × streams to keep count of: ${receivers} × ${streams}`);
    this.#receivers = receivers;
    this.#streams = streams;
    this.#last = new Int32Array(receivers * streams);
  }

  /** Returns false where there is no such receiver or stream: nothing is counted. */
  arrived(receiver: number, stream: number, sequence: number): boolean {
    const cell = receiver * this.#streams + stream;
    const expected = (this.#last[cell] as number) + 1;
    if (sequence === expected && stream < this.#streams) {
      this.#last[cell] = sequence;
      this.delivered++;
      return true;
    }
    return this.#outOfOrder(receiver, stream, sequence);
  }

  #outOfOrder(receiver: number, stream: number, sequence: number): boolean {
    if (receiver >= this.#receivers || stream >= this.#streams || sequence < 1) return false;
    const cell = receiver * this.#streams + stream;
    const last = this.#last[cell] as number;
    if (sequence > last) {
      this.#last[cell] = sequence;
      this.delivered++;
      this.#open(cell, { from: last + 1, to: sequence - 1 });
    } else if (this.#fill(cell, sequence)) {
      this.delivered++;
      this.reordered++;
    } else {
      this.doubled++;
    }
    return true;
  }

  #open(cell: number, hole: Hole): void {
    const holes = this.#holes.get(cell);
    if (holes === undefined) this.#holes.set(cell, [hole]);
    else {
      holes.push(hole);
      if (holes.length > holesMax) holes.shift();
    }
  }

  /** Whether the number was missing; no longer. */
  #fill(cell: number, sequence: number): boolean {
    const holes = this.#holes.get(cell);
    if (holes === undefined) return false;
    // What comes late is late by little, as a rule.
    const index = holes.findLastIndex((hole) => hole.from <= sequence);
    const hole = holes[index];
    if (hole === undefined || sequence > hole.to) return false;
    const left: Hole[] = [];
    if (hole.from < sequence) left.push({ from: hole.from, to: sequence - 1 });
    if (sequence < hole.to) left.push({ from: sequence + 1, to: hole.to });
    holes.splice(index, 1, ...left);
    return true;
  }
}
