/** A small box: the executable with a store on disk, in bounded memory, whose power fails. */
import { join } from "node:path";
import { MemoryLimit, peakResidentBytes } from "../harness/memory-limit.ts";
import { sparePort } from "../harness/redis-asking.ts";
import { adminToken, type ServerProcess, startProcess } from "../harness/server.ts";

/** What the unit of systemd allows. */
export const memoryMaxBytes = 96 * 1024 ** 2;

export class Box implements AsyncDisposable {
  readonly port: number;
  /** How often it was killed. */
  kills = 0;
  #peakBytes = 0;
  readonly #exe: string;
  readonly #config: string;
  readonly #limit: MemoryLimit | null;
  #server: ServerProcess | null = null;

  private constructor(exe: string, config: string, port: number) {
    this.#exe = exe;
    this.#config = config;
    this.port = port;
    this.#limit = MemoryLimit.create(memoryMaxBytes);
  }

  /** Its files are in `folder`. */
  static async start(exe: string, folder: string): Promise<Box> {
    const config = join(folder, "tagcast.toml");
    const rule = '[[tags]]\npattern = "log/#"\nhistory = { size = 1000000 }\n';
    await Bun.write(config, `store = "${join(folder, "store.db")}"\n${rule}`);
    const box = new Box(exe, config, await sparePort());
    await box.powerOn();
    return box;
  }

  /** Whether the kernel holds it to its bound; else its peak is looked at. */
  get isBounded(): boolean {
    return this.#limit !== null;
  }

  get peakBytes(): number {
    return this.#limit?.peakBytes() ?? this.#peakBytes;
  }

  async powerOn(): Promise<void> {
    const args = ["--config", this.#config, "--port", String(this.port), "--admin-token", adminToken];
    this.#server = await startProcess({
      args: [...args, "--log-level", "warn"],
      wrapper: (command) => {
        const alone = [this.#exe, ...command.slice(command.indexOf("serve"))];
        return this.#limit === null ? alone : this.#limit.wrap(alone);
      },
    });
  }

  /** The process is gone without a word. */
  async powerOff(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#peakBytes = Math.max(this.#peakBytes, peakResidentBytes(server.pid));
    this.#server = null;
    this.kills++;
    server.signal("SIGKILL");
    await server.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#limit?.[Symbol.dispose]();
  }
}
