/** The instances of a cluster as real processes, each on a port of its own that it keeps, and what is done to them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { sparePort } from "../harness/redis-asking.ts";
import { adminToken, scratchDirectory, ServerProcess } from "../harness/server.ts";

const startMs = 20_000;
const pageBytes = 4096;

const rules = `
[[tags]]
pattern = "+/log/+"
history = { size = 20000, bytes = "8MiB" }
`;

export class Instances implements AsyncDisposable {
  readonly token = adminToken;
  readonly count: number;
  /** Most bytes of memory that any of them had. */
  maxRssBytes = 0;
  readonly #ports: readonly number[];
  readonly #redis: (instance: number) => string;
  readonly #scratch = scratchDirectory();
  readonly #processes: (ServerProcess | null)[];

  private constructor(ports: readonly number[], redis: (instance: number) => string) {
    this.count = ports.length;
    this.#ports = ports;
    this.#redis = redis;
    this.#processes = ports.map(() => null);
  }

  /** @param redis what `--redis` is for each */
  static async start(count: number, redis: (instance: number) => string): Promise<Instances> {
    const ports = await Promise.all(Array.from({ length: count }, sparePort));
    const instances = new Instances(ports, redis);
    try {
      await Bun.write(join(instances.#scratch.path, "tagcast.toml"), rules);
      await Promise.all(ports.map((_, i) => instances.run(i)));
    } catch (error) {
      await instances[Symbol.asyncDispose]();
      throw error;
    }
    return instances;
  }

  url(instance: number): string {
    return `ws://127.0.0.1:${this.#ports[instance]}/ws`;
  }

  http(instance: number): string {
    return `http://127.0.0.1:${this.#ports[instance]}`;
  }

  async run(instance: number): Promise<void> {
    const args = [
      ...["serve", "--port", `${this.#ports[instance]}`, "--admin-token", this.token, "--log-level", "warn"],
      ...["--config", join(this.#scratch.path, "tagcast.toml"), "--redis", this.#redis(instance)],
    ];
    const server = new ServerProcess({ args });
    this.#processes[instance] = server;
    await server.until(/^tagcast listens on (\S+) /m, "stdout", startMs);
  }

  async kill(instance: number): Promise<void> {
    this.#signal(instance, "SIGKILL");
    await this.#processes[instance]?.exited;
  }

  /** Ends it in order. */
  async terminate(instance: number): Promise<void> {
    this.#signal(instance, "SIGTERM");
    await this.#processes[instance]?.end(startMs);
  }

  pause(instance: number): void {
    this.#signal(instance, "SIGSTOP");
  }

  resume(instance: number): void {
    this.#signal(instance, "SIGCONT");
  }

  async isReady(instance: number): Promise<boolean> {
    try {
      const response = await fetch(`${this.http(instance)}/readyz`, { signal: AbortSignal.timeout(1000) });
      await response.body?.cancel();
      return response.status === 200;
    } catch {
      return false;
    }
  }

  /** Bytes of memory of each that runs. */
  async measure(): Promise<number> {
    let most = 0;
    for (const server of this.#processes) {
      if (server === null) continue;
      const statm = await readFile(`/proc/${server.pid}/statm`, "utf8").catch(() => "");
      most = Math.max(most, Number(statm.split(" ")[1] ?? 0) * pageBytes);
    }
    this.maxRssBytes = Math.max(this.maxRssBytes, most);
    return most;
  }

  /** What they logged, the newest last. */
  logs(bytesEach = 3000): string {
    return this.#processes.map((server, i) => `instance ${i}:\n${server?.stderr.slice(-bytesEach) ?? ""}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map(async (server) => await server?.[Symbol.asyncDispose]()));
    this.#scratch[Symbol.dispose]();
  }

  #signal(instance: number, name: NodeJS.Signals): void {
    this.#processes[instance]?.signal(name);
  }
}
