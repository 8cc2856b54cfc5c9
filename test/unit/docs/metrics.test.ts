/** docs/metrics.md against the table of metrics. */
import { expect, test } from "bun:test";
import { bridgeMetrics } from "../../../src/observe/bridge-metrics.ts";
import { limitMetrics } from "../../../src/observe/limit-metrics.ts";
import { delayMetric, latencyMetric, metricTable } from "../../../src/observe/metric-table.ts";
import { metricsPath, renderMetrics } from "../../docs/metrics.ts";

test("docs/metrics.md is in step with src/observe/metric-table.ts (bun test/docs/metrics.ts)", async () => {
  expect(await Bun.file(metricsPath).text()).toBe(renderMetrics());
});

test("metrics are named as is the custom", () => {
  const tables = [...metricTable, ...limitMetrics, ...bridgeMetrics];
  const names = [...tables, latencyMetric, delayMetric].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^(tagcast|process)_[a-z_]+$/);
  for (const { name, type } of tables)
    expect({ name, total: name.endsWith("_total") }).toEqual({ name, total: type === "counter" });
});

test("no label could hold what users choose, but the application, which is configured", () => {
  const labels = new Set([...metricTable, ...limitMetrics, ...bridgeMetrics].flatMap(({ labels: own }) => own));
  expect([...labels].sort()).toEqual([
    "application",
    "bun",
    "error",
    "lane",
    "outcome",
    "reason",
    "transport",
    "version",
  ]);
});
