/** What one subscription has got of one log: each message behind the one before, or told to be missing. */
import type { Acked, Place, TagTruth } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

/** Op 20 for a tag with a log. */
export interface Gap {
  readonly from: number | null;
  readonly to: number;
  readonly code: number;
  readonly epoch: number | null;
}

/** Delivered one after the other. */
interface Run {
  readonly epoch: number;
  readonly after: number;
  to: number;
}

interface Told extends Gap {
  readonly atMs: number;
}

/** Runs and gaps that are remembered: more than come between two verifications. */
const rememberedMax = 16;

export class LogView {
  readonly truth: TagTruth;
  /** 0: nothing is known yet. */
  epoch = 0;
  offset = 0;
  readonly #owner: string;
  readonly #verdict: Verdict;
  /** The answer said that something is lost, or may be: the gap comes before anything else. */
  #owesGap = false;
  readonly #runs: Run[] = [];
  readonly #told: Told[] = [];
  /** What stands before is not ours to get. */
  #begun: Place = { epoch: 0, offset: 0 };

  constructor(owner: string, truth: TagTruth, verdict: Verdict) {
    this.#owner = owner;
    this.truth = truth;
    this.#verdict = verdict;
  }

  get position(): readonly [number, number] | null {
    return this.epoch === 0 ? null : [this.epoch, this.offset];
  }

  get isSettled(): boolean {
    return !this.#owesGap;
  }

  /** The subscription begins after this position. */
  begin(epoch: number, offset: number): void {
    this.#begun = { epoch, offset };
    this.#move(epoch, offset);
  }

  /** The answer to `since`. */
  resume(epoch: number, recovered: boolean): void {
    // What a log had beyond what the one that replaced it took over may be lost, as where a replica has become the master.
    if (!recovered || epoch !== this.epoch) this.#owesGap = true;
    else this.#move(epoch, this.offset);
  }

  /** `epoch`: named by the message, or null. */
  message(n: number, offset: number, epoch: number | null): void {
    if (this.#owesGap) return this.#wrong(`got ${offset} before the gap that the answer announced`);
    if (this.epoch === 0) {
      if (epoch === null || offset !== 1) return this.#wrong(`got ${epoch}:${offset} as the first of an unknown log`);
      this.begin(epoch, 0);
    }
    if (epoch !== null && epoch !== this.epoch) return this.#wrong(`got ${epoch}:${offset}, and epoch ${epoch} untold`);
    if (offset <= this.offset) return this.#wrong(`got ${offset} twice or late`);
    if (offset !== this.offset + 1) {
      this.#wrong(`got ${offset}, and was not told of what is missing`);
      return this.#move(this.epoch, offset);
    }
    this.offset = offset;
    this.#runs.at(-1)!.to = offset;
    this.truth.observed(n, this.epoch, offset, this.#owner);
  }

  gap(gap: Gap): void {
    if (gap.epoch === null && (gap.from === null || gap.to < gap.from))
      return this.#wrong(`was told nonsense: ${text(gap)}`);
    if (gap.epoch === null && gap.from !== this.offset + 1 && !this.#owesGap) {
      this.#wrong(`was told a gap elsewhere: ${text(gap)}`);
    }
    this.#told.push({ ...gap, epoch: gap.epoch, atMs: performance.now() });
    if (this.#told.length > rememberedMax) this.#told.shift();
    this.#owesGap = false;
    this.#move(gap.epoch ?? this.epoch, gap.to);
  }

  /** Whether it has all up to an acknowledged message, or knows better. */
  has({ epoch, offset }: Acked): boolean {
    return !this.#owesGap && this.epoch === epoch && this.offset >= offset;
  }

  /**
   * How many of these never came, and were told to be missing. What was not told, or could not be lost, is a violation.
   * @param due acknowledged, and before what this view has
   */
  verify(due: readonly Acked[], mayLose: (acked: Acked) => boolean): number {
    let told = 0;
    for (const acked of due) {
      const isBefore = acked.epoch === this.#begun.epoch && acked.offset <= this.#begun.offset;
      if (isBefore || this.#delivered(acked)) continue;
      const name = `${acked.n}, acknowledged as ${acked.epoch}:${acked.offset},`;
      if (!this.#wasTold(acked)) this.#wrong(`never got ${name} and was not told; ${this.#history()}`);
      else if (!mayLose(acked)) this.#wrong(`lost ${name} where nothing may be lost; ${this.#history()}`);
      else told++;
    }
    return told;
  }

  toString(): string {
    return `${this.#owner} at ${this.truth.tag} ${this.epoch}:${this.offset}${this.#owesGap ? ", owed a gap" : ""}`;
  }

  #delivered(acked: Acked): boolean {
    const places = [acked, ...this.truth.placesOf(acked.n)];
    return places.some(({ epoch, offset }) =>
      this.#runs.some((run) => run.epoch === epoch && run.after < offset && offset <= run.to),
    );
  }

  #wasTold({ epoch, offset, issuedMs }: Acked): boolean {
    return this.#told.some((gap) => {
      if (gap.atMs < issuedMs) return false;
      if (gap.epoch !== null) return gap.epoch !== epoch || offset <= gap.to;
      return offset >= (gap.from ?? 0) && offset <= gap.to;
    });
  }

  /** What came lately, for whoever looks for the reason. */
  #history(): string {
    const runs = this.#runs.map(({ epoch, after, to }) => `${epoch}:${after + 1}…${to}`);
    return `it got ${runs.join(", ")}; was told ${this.#told.map(text).join(", ") || "nothing"}`;
  }

  #move(epoch: number, offset: number): void {
    this.epoch = epoch;
    this.offset = offset;
    this.#runs.push({ epoch, after: offset, to: offset });
    if (this.#runs.length > rememberedMax) this.#runs.shift();
  }

  #wrong(what: string): void {
    this.#verdict.violation(`${this}: ${what}`);
  }
}

function text({ from, to, code, epoch }: Gap): string {
  return `gap ${from}…${to} code ${code} epoch ${epoch}`;
}
