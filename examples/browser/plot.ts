/** The last minute of one sensor, drawn at most once a frame. */
import uPlot from "uplot";
import { format, type Reading } from "./reading.ts";

const windowSeconds = 60;
/** A hidden page draws nothing and so forgets nothing: beyond this the older half goes. */
const pointsMax = 8192;
const heightPx = 130;

export class Plot {
  readonly #container: HTMLElement;
  readonly #drawn: (points: number) => void;
  readonly #resized: ResizeObserver;
  #chart: uPlot | null = null;
  readonly #times: number[] = [];
  readonly #values: number[] = [];
  #unit = "";
  #max: number | null = null;
  #awaited = false;

  /** `drawn` is told how many points stand in the plot. */
  constructor(container: HTMLElement, drawn: (points: number) => void) {
    this.#container = container;
    this.#drawn = drawn;
    this.#resized = new ResizeObserver(() => this.#chart?.setSize(this.#size()));
    this.#resized.observe(container);
  }

  add({ time, value, unit, max }: Reading): void {
    this.#unit = unit;
    this.#max = max;
    const last = this.#times.at(-1) ?? 0;
    // The axis goes forward: clocks that differ a little are put in order, one that was set back begins anew.
    if (last - time / 1000 > windowSeconds) this.#forget(this.#times.length);
    if (this.#times.length >= pointsMax) this.#forget(pointsMax / 2);
    this.#times.push(Math.max(time / 1000, this.#times.at(-1) ?? 0));
    this.#values.push(value);
    this.#drawSoon();
  }

  clear(): void {
    this.#forget(this.#times.length);
    this.#drawSoon();
  }

  #forget(oldest: number): void {
    this.#times.splice(0, oldest);
    this.#values.splice(0, oldest);
  }

  #drawSoon(): void {
    if (this.#awaited) return;
    this.#awaited = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#awaited = false;
    const oldest = (this.#times.at(-1) ?? 0) - windowSeconds;
    this.#forget(
      Math.max(
        0,
        this.#times.findIndex((time) => time >= oldest),
      ),
    );
    this.#chart ??= new uPlot(this.#options(), undefined, this.#container);
    this.#chart.setData([this.#times, this.#values]);
    this.#drawn(this.#times.length);
  }

  #size(): { width: number; height: number } {
    return { width: this.#container.clientWidth, height: heightPx };
  }

  #options(): uPlot.Options {
    const style = getComputedStyle(this.#container);
    // Read at each drawing, as the colour scheme may change.
    const colour = (name: string) => () => resolved(this.#container, style.getPropertyValue(name));
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    return {
      ...this.#size(),
      legend: { show: false },
      cursor: { show: false },
      scales: {
        y: { range: (_chart, low, high) => [Math.min(0, low ?? 0), this.#max ?? (high > 0 ? high * 1.1 : 1)] },
      },
      axes: [
        { ...axis, size: 24, space: 70, font: "11px system-ui", values: "{HH}:{mm}:{ss}" },
        {
          ...axis,
          size: 62,
          font: "11px system-ui",
          values: (_chart, marks) => marks.map((mark) => format(mark, this.#unit).join(" ")),
        },
      ],
      series: [{}, { stroke: colour("--accent"), width: 1.5, points: { show: false } }],
    };
  }
}

/** A canvas does not know `light-dark()`: the colour as it is shown. */
function resolved(element: HTMLElement, value: string): string {
  element.style.color = value;
  return getComputedStyle(element).color;
}
