/** A master, a replica and three Sentinels that watch them, each on a spare port, their data in temporary folders. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, sparePort } from "./redis-asking.ts";
import { listening, RedisServer, type RedisOptions, type RedisTls } from "./redis.ts";

const name = "tagcast";
const startMs = 15_000;

/** Silence after which a Sentinel takes a server for dead, milliseconds. */
const downAfterMs = 2000;

class Sentinel implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #process: Bun.Subprocess;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
    this.#process = Bun.spawn(["redis-server", join(folder, "sentinel.conf"), "--sentinel"], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  }

  static async start(masterPort: number, tls: RedisTls | undefined): Promise<Sentinel> {
    const folder = await mkdtemp(join(tmpdir(), "tagcast-sentinel-"));
    const port = await sparePort();
    const lines = [
      ...(await listening(port, tls)).map((line) => line.join(" ")),
      "bind 127.0.0.1",
      `dir ${folder}`,
      `sentinel monitor ${name} 127.0.0.1 ${masterPort} 2`,
      `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
      `sentinel failover-timeout ${name} 4000`,
      `sentinel parallel-syncs ${name} 1`,
    ];
    await Bun.write(join(folder, "sentinel.conf"), `${lines.join("\n")}\n`);
    return new Sentinel(port, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export class RedisSentinel implements AsyncDisposable {
  readonly name = name;
  readonly servers: readonly RedisServer[];
  readonly #sentinels: readonly Sentinel[];

  private constructor(servers: readonly RedisServer[], sentinels: readonly Sentinel[]) {
    this.servers = servers;
    this.#sentinels = sentinels;
  }

  /** Settles once all Sentinels know each other and the replica. `config` is that of both servers. */
  static async start({ config: more = [], tls }: RedisOptions = {}): Promise<RedisSentinel> {
    const config = ["--repl-diskless-sync-delay", "0", ...more];
    const secured = tls === undefined ? {} : { tls };
    const following = ["--replicaof", "127.0.0.1"];
    const master = await RedisServer.start({ config, ...secured });
    const replica = await RedisServer.start({ config: [...config, ...following, `${master.port}`], ...secured });
    const sentinels = await Promise.all([1, 2, 3].map(() => Sentinel.start(master.port, tls)));
    const all = new RedisSentinel([master, replica], sentinels);
    try {
      await all.#settled();
    } catch (error) {
      await all[Symbol.asyncDispose]();
      throw error;
    }
    return all;
  }

  /** `host:port` of each Sentinel. */
  get addresses(): readonly string[] {
    return this.#sentinels.map(({ port }) => `127.0.0.1:${port}`);
  }

  /** The server that the Sentinels name as the master. */
  async master(): Promise<RedisServer> {
    const [first] = this.#sentinels;
    const [, port] = (await ask(first!.port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) as string[];
    const found = this.servers.find((server) => `${server.port}` === port);
    if (found === undefined) throw new Error(`The Sentinels name a master on port ${port} that is none of ours`);
    return found;
  }

  /** Waits until all Sentinels are done with making another server than `before` the master. */
  async promoted(before: RedisServer, ms: number = startMs): Promise<RedisServer> {
    const deadline = performance.now() + ms;
    for (;;) {
      const now = await this.#agreed();
      if (now !== null && now !== before && (await isMaster(now))) return now;
      if (performance.now() > deadline) throw new Error(`No other master within ${ms} ms`);
      await Bun.sleep(20);
    }
  }

  /** Has the Sentinels make the replica the master, with nothing broken; settles when they have begun. */
  async switchOver(): Promise<void> {
    const deadline = performance.now() + startMs;
    for (;;) {
      try {
        await ask(this.#sentinels[0]!.port, "SENTINEL", "FAILOVER", name);
        return;
      } catch (error) {
        // A replica that has just come back is not taken for one that can be promoted at once.
        if (performance.now() > deadline) throw error;
        await Bun.sleep(100);
      }
    }
  }

  /** Has the Sentinels watch another server instead, under the same name. */
  async watch({ port: master }: RedisServer): Promise<void> {
    // One that still knew the old one would tell the others of it.
    for (const { port } of this.#sentinels) await ask(port, "SENTINEL", "REMOVE", name);
    for (const { port } of this.#sentinels) {
      await ask(port, "SENTINEL", "MONITOR", name, "127.0.0.1", `${master}`, "2");
    }
  }

  /** A server that was killed comes back, as a replica: Sentinels would make it one, but take ten seconds to. */
  async rejoin(server: RedisServer): Promise<void> {
    await server.run();
    await this.demote(server);
  }

  /** A server that was the master before becomes a replica. */
  async demote(server: RedisServer): Promise<void> {
    const master = await this.master();
    if (master !== server) await ask(server.port, "REPLICAOF", "127.0.0.1", `${master.port}`);
    await this.#settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#sentinels, ...this.servers].map((one) => one[Symbol.asyncDispose]()));
  }

  /** The server that all Sentinels take for the master, with no failover under way; else null. */
  async #agreed(): Promise<RedisServer | null> {
    const ports = new Set<number>();
    for (const { port } of this.#sentinels) {
      const fields = (await ask(port, "SENTINEL", "MASTER", name)) as Record<string, string> | string[];
      const field = (key: string) => (Array.isArray(fields) ? fields[fields.indexOf(key) + 1] : fields[key]) ?? "";
      if (/failover_in_progress/.test(field("flags"))) return null;
      ports.add(Number(field("port")));
    }
    return ports.size === 1 ? (this.servers.find(({ port }) => ports.has(port)) ?? null) : null;
  }

  async #settled(ms: number = startMs): Promise<void> {
    const deadline = performance.now() + ms;
    while (!(await this.#isSettled())) {
      if (performance.now() > deadline) throw new Error(`The Sentinels did not settle within ${ms} ms`);
      await Bun.sleep(50);
    }
  }

  async #isSettled(): Promise<boolean> {
    try {
      for (const { port } of this.#sentinels) {
        const info = String(await ask(port, "INFO", "sentinel"));
        if (!/status=ok,.*slaves=1,sentinels=3/.test(info)) return false;
      }
      const info = String(await ask((await this.master()).port, "INFO", "replication"));
      return /role:master/.test(info) && /slave0:.*state=online/.test(info);
    } catch {
      return false;
    }
  }
}

async function isMaster(server: RedisServer): Promise<boolean> {
  try {
    return /role:master/.test(String(await ask(server.port, "INFO", "replication")));
  } catch {
    return false;
  }
}
