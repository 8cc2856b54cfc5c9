/** The plots of the report as Vega-Lite specifications: plain data, which `render.ts` draws. */
import type { Results, Sample } from "../results.ts";
import { cpuPerDelivery, latencyMax, p50, p99, p999 } from "./metrics.ts";
import { measuredRows, paper } from "./paper-c.ts";
import { casesOf, peersOf, samplesOf, spread } from "./summary.ts";

export interface Plot {
  /** File name without its ending. */
  readonly name: string;
  readonly title: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Those that the run has the samples for. */
export function plotsOf(results: Results): readonly Plot[] {
  return [fanOut(results.samples), latency(results.samples), paperC(results.samples)].filter((plot) => plot !== null);
}

export function plotNames(results: Results): readonly Pick<Plot, "name" | "title">[] {
  return plotsOf(results);
}

const look = {
  $schema: "https://vega.github.io/schema/vega-lite/v6.json",
  background: "white",
  config: {
    font: "sans-serif",
    view: { stroke: "#ddd" },
    axis: { grid: true, gridColor: "#eee", labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal" },
    header: { labelFontSize: 12 },
    title: { fontSize: 14 },
  },
};
const ours = "#d1495b";
const theControl = "#2e4057";
const other = "#9aa5b1";
/** For lines, which cross: every other peer has a colour of its own. */
const others = ["#4c9f70", "#e9a03b", "#6a4c93", "#3d9be9", "#8c6d46", "#c98bb9", "#7a8b99"];

/** Ours stands out, the control beside it, the others together. */
const peerColour = {
  condition: [
    { test: "datum.peer === 'tagcast'", value: ours },
    { test: "datum.peer === 'bun control'", value: theControl },
  ],
  value: other,
};

function lineColours(peers: readonly string[]): Readonly<Record<string, unknown>> {
  const rest = others.values();
  const own: Readonly<Record<string, string>> = { tagcast: ours, "bun control": theControl };
  return { domain: peers, range: peers.map((peer) => own[peer] ?? rest.next().value ?? other) };
}

function fanOut(samples: readonly Sample[]): Plot | null {
  const own = samplesOf(samples, "fan-out").filter((sample) => /64 B, 512 in flight/.test(sample.case));
  const values = rowsOf(own, (found, peer) => {
    const value = spread(found, peer, cpuPerDelivery);
    return value === null ? [] : [{ ns: short(value.median), low: short(value.min), high: short(value.max) }];
  });
  if (values.length === 0) return null;
  const peers = peersOf(own);
  const title = "Server CPU per delivery, 64 B, 512 in flight (log scale)";
  const y = { field: "peer", type: "nominal", sort: peers, title: null };
  const scale = { type: "log" };
  const axis = { format: "~s", tickCount: 5 };
  return {
    name: "fan-out",
    title,
    spec: {
      ...look,
      title,
      data: { values },
      facet: { field: "case", type: "nominal", sort: casesOf(own), title: null },
      columns: 2,
      spec: {
        width: 300,
        height: { step: 20 },
        layer: [
          {
            mark: { type: "rule", strokeWidth: 2 },
            encoding: {
              y,
              x: { field: "low", type: "quantitative", scale, axis, title: "ns per delivery" },
              x2: { field: "high" },
              color: peerColour,
            },
          },
          {
            mark: { type: "point", filled: true, size: 60, opacity: 1 },
            encoding: { y, x: { field: "ns", type: "quantitative", scale }, color: peerColour },
          },
        ],
      },
    },
  };
}

const percentiles = { p50, p99, "p99.9": p999, max: latencyMax };

function latency(samples: readonly Sample[]): Plot | null {
  const own = samplesOf(samples, "fan-out").filter((sample) => /64 B.*msg\/s/.test(sample.case));
  const values = rowsOf(own, (found, peer) =>
    Object.entries(percentiles).flatMap(([percentile, metric]) => {
      const value = spread(found, peer, metric);
      return value === null ? [] : [{ percentile, ms: short(value.median / 1000) }];
    }),
  );
  if (values.length === 0) return null;
  const title = "Latency at fixed rates, medians over the rounds (log scale)";
  return {
    name: "latency",
    title,
    spec: {
      ...look,
      title,
      data: { values },
      facet: { field: "case", type: "nominal", sort: casesOf(own), title: null },
      columns: 2,
      spec: {
        width: 300,
        height: 240,
        mark: { type: "line", point: true },
        encoding: {
          x: {
            field: "percentile",
            type: "ordinal",
            sort: Object.keys(percentiles),
            title: null,
            axis: { labelAngle: 0 },
          },
          y: { field: "ms", type: "quantitative", scale: { type: "log" }, title: "ms from publish to arrival" },
          color: { field: "peer", type: "nominal", sort: peersOf(own), title: null, scale: lineColours(peersOf(own)) },
        },
      },
    },
  };
}

function paperC(samples: readonly Sample[]): Plot | null {
  const measured = measuredRows(samples);
  if (measured.length === 0) return null;
  const values = [
    ...measured.map((row) => ({
      server: "tagcast, this run",
      connections: row.connections,
      ms: short(row.responseMs),
    })),
    ...paper.map((row) => ({ server: "W. Cao et al., 2017", connections: row.connections, ms: short(row.responseMs) })),
  ];
  const title = "Average response time by concurrent connections (log scale)";
  return {
    name: "paper-c",
    title,
    spec: {
      ...look,
      title,
      data: { values },
      width: 520,
      height: 280,
      mark: { type: "line", point: true },
      encoding: {
        x: { field: "connections", type: "quantitative", title: "connections", scale: { type: "log" } },
        y: { field: "ms", type: "quantitative", title: "ms", scale: { type: "log" } },
        color: {
          field: "server",
          type: "nominal",
          title: null,
          scale: { domain: ["tagcast, this run", "W. Cao et al., 2017"], range: [ours, other] },
        },
      },
    },
  };
}

/** Rows per case and peer, with their names. */
function rowsOf(
  samples: readonly Sample[],
  values: (samples: readonly Sample[], peer: string) => readonly Readonly<Record<string, unknown>>[],
): readonly Readonly<Record<string, unknown>>[] {
  return casesOf(samples).flatMap((item) => {
    const own = samples.filter((sample) => sample.case === item);
    return peersOf(own).flatMap((peer) => values(own, peer).map((row) => ({ case: item, peer, ...row })));
  });
}

/** More digits than can be seen would only make one drawing differ from the next. */
function short(value: number): number {
  return Number(value.toPrecision(4));
}
