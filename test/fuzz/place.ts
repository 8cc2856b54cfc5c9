/** Where in `src` an error was made: the nearest thing to coverage that costs nothing to have. */

const frames = 3;
const frame = /\/src\/([\w./-]+:\d+:\d+)/g;

/** `wire/cursor.ts:186:14<wire/…`, the innermost frames of `src`. */
export function placeOf(error: Error): string {
  const found: string[] = [];
  for (const [, place = ""] of (error.stack ?? "").matchAll(frame)) {
    found.push(place);
    if (found.length === frames) break;
  }
  return found.join("<");
}

/** Counts in steps that double, so that sizes do not make every input new. */
export function scale(count: number): number {
  return 32 - Math.clz32(count);
}
