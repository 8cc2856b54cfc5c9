/** Compares what devices were told, what the log holds, and what a subscriber recorded. */
import type { Reading } from "./devices.ts";
import type { Recorded } from "./recorder.ts";

/** Everything about one tag. */
export interface TagRecord {
  readonly tag: string;
  /** By its device, in order. */
  readonly readings: readonly Reading[];
  /** The whole log, oldest first. */
  readonly log: readonly Recorded[];
  readonly recorded: readonly Recorded[];
}

/** What is wrong with it, as sentences. */
export function faultsOf({ tag, readings, log, recorded }: TagRecord): string[] {
  const faults: string[] = [];
  const order = new Map(readings.map(({ id }, i) => [id, i]));
  const places = new Map<string, Recorded>();
  let last = -1;
  for (const [i, entry] of log.entries()) {
    const number = order.get(entry.id);
    if (entry.offset !== i + 1) faults.push(`${tag}: offset ${entry.offset} stands where ${i + 1} belongs`);
    if (number === undefined) faults.push(`${tag}: ${entry.id} is in the log and was never published`);
    else if (places.has(entry.id)) faults.push(`${tag}: ${entry.id} is in the log twice`);
    else if (number < last) faults.push(`${tag}: ${entry.id} came behind what was published after it`);
    places.set(entry.id, entry);
    last = Math.max(last, number ?? -1);
  }
  for (const { id, place } of readings) {
    const entry = places.get(id);
    if (place === null) continue;
    if (entry === undefined) faults.push(`${tag}: ${id} was acknowledged and is not in the log`);
    else if (entry.offset !== place.offset || entry.epoch !== place.epoch) {
      faults.push(`${tag}: ${id} was acknowledged as ${text(place)} and stands at ${text(entry)}`);
    }
  }
  const differs = log.findIndex((entry, i) => !isSame(entry, recorded[i]));
  if (differs >= 0) faults.push(`${tag}: the recorder has not what the log has from ${text(log[differs])} on`);
  else if (recorded.length > log.length) faults.push(`${tag}: the recorder has more than the log`);
  return faults;
}

function isSame(a: Recorded, b: Recorded | undefined): boolean {
  return b !== undefined && a.id === b.id && a.epoch === b.epoch && a.offset === b.offset;
}

function text(place: { readonly epoch: number; readonly offset: number } | undefined): string {
  return place === undefined ? "nothing" : `${place.epoch}:${place.offset}`;
}
