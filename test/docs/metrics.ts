/** Renders docs/metrics.md from the table in src/observe/metric-table.ts. To write the file anew: `bun test/docs/metrics.ts`. */
import { join } from "node:path";
import { bridgeMetrics } from "../../src/observe/bridge-metrics.ts";
import { limitMetrics } from "../../src/observe/limit-metrics.ts";
import { delayMetric, latencyMetric, metricTable } from "../../src/observe/metric-table.ts";
import { portMetrics } from "../../src/observe/port-metrics.ts";
import { commitMetric, storeMetrics } from "../../src/observe/store-metrics.ts";

/** Where the rendered text belongs. */
export const metricsPath = join(import.meta.dir, "../../docs/metrics.md");

interface Row {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

const rows: readonly Row[] = [
  ...metricTable,
  ...limitMetrics,
  ...portMetrics,
  { ...latencyMetric, type: "histogram", labels: [] },
  { ...delayMetric, type: "gauge", labels: ["quantile"] },
  ...bridgeMetrics,
  ...storeMetrics,
  { ...commitMetric, type: "histogram", labels: [] },
];

export function renderMetrics(): string {
  const lines = rows.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
  );
  return `# Metrics

Generated from \`src/observe/metric-table.ts\` by \`bun test/docs/metrics.ts\`: do not edit.

\`GET /metrics\` answers with the numbers of one instance in the text format of Prometheus. It needs the grant \`admin\` on \`#\` in
application \`main\`, since the numbers are of all applications; a scraper presents its token as \`Authorization: Bearer …\`:

\`\`\`yaml
scrape_configs:
  - job_name: tagcast
    authorization: { credentials_file: /etc/prometheus/tagcast-token }
    static_configs: [{ targets: ["tagcast.example.com:8080"] }]
\`\`\`

Hot paths keep plain numbers, which are read when somebody asks: a message costs no metric. Labels have few values: transports
(\`websocket\`, \`http\`, \`sse\`), lanes (\`msgpack\`, \`json\`), configured applications, and names of codes ([codes.md](codes.md)); never tags, clients or subjects. Certificates are named by the first name they hold. What begins with \`tagcast_redis_\` is there on instances joined by Redis alone;
those leave out logs and idempotency keys, which Redis keeps. What begins with \`tagcast_store_\` is there with a store on disk, where \`tagcast_log_bytes\` are
those of its file in use, and \`tagcast_log_messages\` are not counted.

| Metric | Type | Labels | Meaning |
|---|---|---|---|
${lines.join("\n")}
`;
}

if (import.meta.main) await Bun.write(metricsPath, renderMetrics());
