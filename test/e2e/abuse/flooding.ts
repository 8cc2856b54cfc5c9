/** What attacks by number have in common: a server process behind a "proxy" on this machine, its metrics and its log. */
import { startProcess, type ServerProcess } from "../../harness/server.ts";
import { Caller } from "../../integration/api/caller.ts";

/** This machine's own address is that of a proxy: who the client is, its header says. */
export const proxied = ["--trusted-proxies", "127.0.0.1"] as const;

export const attacker = "203.0.113.7";
export const bystander = "198.51.100.2";

export const from = (address: string) => ({ "X-Forwarded-For": address });

/** A server with an admin token of its own, whose log is JSON. */
export function startDefended(...args: readonly string[]): Promise<ServerProcess> {
  return startProcess({ args: ["--log-format", "json", ...args] });
}

/** The value of a series now. */
export async function metric(server: ServerProcess, series: string): Promise<number> {
  const { status, bytes } = await new Caller(server, server.token).call("/metrics", { headers: from(bystander) });
  if (status !== 200) throw new Error(`No metrics: ${status}`);
  const line = Buffer.from(bytes)
    .toString()
    .split("\n")
    .find((text) => text.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1));
}

/** The first line of the log with this message; waits for it. */
export async function logged(server: ServerProcess, message: string): Promise<Readonly<Record<string, unknown>>> {
  const [line] = await server.until(new RegExp(`^.*"${message}".*$`, "m"), "stderr");
  return JSON.parse(line) as Readonly<Record<string, unknown>>;
}
