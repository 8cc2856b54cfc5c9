/** What a message of a sensor says: a bare number, or `{value, time?, unit?, max?}` as host-metrics.ts publishes it. */

export interface Reading {
  readonly value: number;
  /** Milliseconds since 1970, by the clock of who measured it. */
  readonly time: number;
  readonly unit: string;
  /** The largest value that there can be; null where there is none. */
  readonly max: number | null;
}

/** Null where the payload is no reading. `nowMs` stands in for a time that is not given. */
export function readingOf(payload: unknown, nowMs: number): Reading | null {
  if (typeof payload === "number") return { value: payload, time: nowMs, unit: "", max: null };
  if (typeof payload !== "object" || payload === null || !("value" in payload)) return null;
  const { value, time, unit, max }: { value: unknown; time?: unknown; unit?: unknown; max?: unknown } = payload;
  if (typeof value !== "number") return null;
  return {
    value,
    time: typeof time === "number" ? time : nowMs,
    unit: typeof unit === "string" ? unit : "",
    max: typeof max === "number" ? max : null,
  };
}

/** Three digits and a prefix: `[“1.25”, “MB/s”]`. */
export function format(value: number, unit: string): [number: string, unit: string] {
  const prefixes = unit.startsWith("B") ? ["", "k", "M", "G", "T"] : [""];
  let scaled = value;
  let step = 0;
  while (Math.abs(scaled) >= 1000 && step < prefixes.length - 1) {
    scaled /= 1000;
    step++;
  }
  const digits = Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2;
  return [scaled.toFixed(digits), `${prefixes[step]}${unit}`];
}
