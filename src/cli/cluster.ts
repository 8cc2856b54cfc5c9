/** `tagcast cluster`: the instances on one Redis, as they tell of themselves. */
import { openRedisTool } from "../broker/redis/tool.ts";
import type { InstanceView } from "../core/shared.ts";
import { systemClock } from "../lib/clock.ts";
import { printable } from "../lib/printable.ts";
import { exitCodes, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { parseArguments, redisUrl } from "./token-arguments.ts";

const help = renderHelp({
  usage: ["cluster [--redis URL] [options]"],
  about:
    "Lists the instances that are joined by a Redis: where they listen, version, roles, how long they have run, open connections, messages published and delivered a second, share of a processor, and how long ago they were heard of. An instance that was not heard of for five seconds is not listed.",
  options: [
    ["--redis URL", "The Redis that joins them; or TAGCAST_REDIS."],
    ["--json", "Print JSON."],
  ],
  examples: ["cluster --redis redis://127.0.0.1:6379"],
});

const argumentsTaken = { redis: { type: "string" }, json: { type: "boolean" } } as const;

export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const { values } = parseArguments(argv, argumentsTaken, [0, 0]);
  const given = values.redis ?? io.env["TAGCAST_REDIS"] ?? "";
  if (given === "") throw new UsageError("say which Redis joins the instances: --redis URL, or TAGCAST_REDIS");
  const url = redisUrl(given);
  let instances: readonly InstanceView[];
  try {
    using tool = await openRedisTool(url, systemClock);
    instances = await tool.instances();
  } catch (error) {
    io.err(`tagcast cluster: ${printable(error instanceof Error ? error.message : String(error))}`);
    return exitCodes.failed;
  }
  const nowMs = systemClock.wallMs();
  const sorted = instances.toSorted((a, b) => (address(a) < address(b) ? -1 : 1));
  if (values.json)
    io.out(
      JSON.stringify(
        sorted.map((view) => shown(view, nowMs)),
        null,
        2,
      ),
    );
  else if (sorted.length === 0) io.err("There are no instances on this Redis.");
  else for (const line of table(sorted, nowMs)) io.out(line);
  return exitCodes.ok;
}

function shown({ host, port, heardMs, ...view }: InstanceView, nowMs: number) {
  const rounded = {
    messagesPerSecond: Math.round(view.messagesPerSecond),
    deliveriesPerSecond: Math.round(view.deliveriesPerSecond),
    cpu: Number(view.cpu.toFixed(3)),
  };
  return { ...view, ...rounded, address: address({ host, port }), uptimeMs: uptime(view, nowMs), heardMs };
}

const columns: readonly (readonly [string, (view: InstanceView, nowMs: number) => string])[] = [
  ["INSTANCE", ({ instance }) => instance],
  ["ADDRESS", address],
  ["VERSION", ({ version }) => version],
  ["ROLES", ({ roles }) => roles.join(",")],
  ["UPTIME", (view, nowMs) => duration(uptime(view, nowMs))],
  ["CONNECTIONS", ({ connections }) => String(connections)],
  ["MESSAGES/S", ({ messagesPerSecond }) => messagesPerSecond.toFixed(0)],
  ["DELIVERIES/S", ({ deliveriesPerSecond }) => deliveriesPerSecond.toFixed(0)],
  ["CPU", ({ cpu }) => `${(cpu * 100).toFixed(0)}%`],
  ["HEARD", ({ heardMs }) => `${(Math.max(heardMs, 0) / 1000).toFixed(1)}s ago`],
];

function table(views: readonly InstanceView[], nowMs: number): string[] {
  const rows = [
    columns.map(([head]) => head),
    ...views.map((view) => columns.map(([, cell]) => printable(cell(view, nowMs)))),
  ];
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function address({ host, port }: Pick<InstanceView, "host" | "port">): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function uptime({ startedAtMs }: Pick<InstanceView, "startedAtMs">, nowMs: number): number {
  return Math.max(0, Math.round(nowMs - startedAtMs));
}

/** The two largest units: `3d4h`, `4h5m`, `12m3s`, `9s`. */
function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const units = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = units.findIndex(([count]) => count > 0);
  if (first < 0) return "0s";
  return units
    .slice(first, first + 2)
    .map(([count, unit]) => `${count}${unit}`)
    .join("");
}
