/** How long the rest of a run takes, from how long its parts took so far. */
import type { Step } from "./plan.ts";

export class RemainingTime {
  readonly #steps: readonly Step[];
  readonly #taken = new Map<string, number>();
  #done = 0;
  #total = 0;

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
  }

  /** Steps end in the order in which they were given. */
  ended(seconds: number): void {
    const step = this.#steps[this.#done++];
    if (step === undefined) return;
    this.#total += seconds;
    this.#taken.set(keyOf(step), seconds);
  }

  /** Seconds; null before anything is known. What was run before takes as long again, the rest as long as the average. */
  left(): number | null {
    if (this.#done === 0) return null;
    const average = this.#total / this.#done;
    let seconds = 0;
    for (const step of this.#steps.slice(this.#done)) seconds += this.#taken.get(keyOf(step)) ?? average;
    return seconds;
  }
}

/** `90` → `2 min`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function keyOf({ planned, contender }: Step): string {
  return `${planned.workload.name}\0${planned.case.name}\0${contender.name}`;
}
