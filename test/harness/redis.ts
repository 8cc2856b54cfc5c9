/** A Redis server of its own for a test: on a spare port, its data in a temporary folder, and ways to make it fail. */
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectByTls } from "node:tls";
import { askByTls, sparePort } from "./redis-asking.ts";

const startMs = 10_000;

export interface RedisOptions {
  /** More of its configuration, as `["--appendonly", "yes"]`. */
  readonly config?: readonly string[];
  /** Where given it speaks TLS and nothing else, also with other servers. */
  readonly tls?: RedisTls;
}

/** PEM files. */
export interface RedisTls {
  readonly cert: string;
  readonly key: string;
  /** Of the authority that has signed the certificates of all servers. */
  readonly ca: string;
}

/** Where a server listens, as lines of its configuration. */
export async function listening(port: number, tls: RedisTls | undefined): Promise<readonly (readonly string[])[]> {
  if (tls === undefined) return [["port", `${port}`]];
  askByTls(port, await Bun.file(tls.ca).text());
  return [
    ["port", "0"],
    ["tls-port", `${port}`],
    ["tls-cert-file", tls.cert],
    ["tls-key-file", tls.key],
    ["tls-ca-cert-file", tls.ca],
    ["tls-auth-clients", "no"],
    ["tls-replication", "yes"],
  ];
}

export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly #config: readonly string[];
  /** Of the authority, where it speaks TLS. */
  readonly #ca: string | null;
  #process: Bun.Subprocess | null = null;

  private constructor(
    port: number,
    { folder, config, ca }: { readonly folder: string; readonly config: readonly string[]; readonly ca: string | null },
  ) {
    this.port = port;
    this.folder = folder;
    this.#config = config;
    this.#ca = ca;
  }

  static async start({ config = [], tls }: RedisOptions = {}): Promise<RedisServer> {
    const folder = await mkdtemp(join(tmpdir(), "tagcast-redis-"));
    const port = await sparePort();
    const lines = (await listening(port, tls)).flatMap(([name, value]) => [`--${name}`, value!]);
    const ca = tls === undefined ? null : await Bun.file(tls.ca).text();
    const server = new RedisServer(port, { folder, config: [...lines, ...config], ca });
    await server.run();
    return server;
  }

  get url(): string {
    return `redis${this.#ca === null ? "" : "s"}://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts it, with the data that is in its folder. */
  async run(): Promise<void> {
    this.#process = Bun.spawn(
      [
        "redis-server",
        ...["--bind", "127.0.0.1", "--dir", this.folder, "--save", "", "--daemonize", "no"],
        ...this.#config,
      ],
      { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    );
    const deadline = performance.now() + startMs;
    while (!(await this.#answers())) {
      if (performance.now() > deadline || this.#process.exitCode !== null) {
        throw new Error(
          `redis-server did not start on port ${this.port} (is Debian's package redis-server installed?)`,
        );
      }
      await Bun.sleep(5);
    }
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    this.resume();
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.#process = null;
  }

  /** Ends it in order, with its data written. */
  async shutDown(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.exited;
    this.#process = null;
  }

  /** Hangs: connections stay, nothing is answered. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Sends one command of its own and resolves with the raw answer (RESP 2). */
  async command(...args: readonly string[]): Promise<string> {
    const request = [`*${args.length}`, ...args.flatMap((arg) => [`$${Buffer.byteLength(arg)}`, arg])];
    return await new Promise<string>((resolve, reject) => {
      const ask = () => void socket.write(`${request.join("\r\n")}\r\n`);
      const place = { port: this.port, host: "127.0.0.1" };
      const socket = this.#ca === null ? connect(place, ask) : connectByTls({ ...place, ca: this.#ca }, ask);
      let answer = "";
      socket.on("data", (data) => {
        answer += data.toString("latin1");
        if (isWhole(answer)) socket.destroy();
      });
      socket.on("error", reject);
      socket.on("close", () => resolve(answer));
    });
  }

  async flush(): Promise<void> {
    await this.command("FLUSHALL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #answers(): Promise<boolean> {
    try {
      return (await this.command("PING")) === "+PONG\r\n";
    } catch {
      return false;
    }
  }
}

/** Whether an answer of one line, or one bulk string, has come whole. */
function isWhole(answer: string): boolean {
  const line = answer.indexOf("\r\n");
  if (line < 0) return false;
  return answer[0] !== "$" || answer.length >= line + 4 + Number(answer.slice(1, line)) || answer.startsWith("$-1");
}
