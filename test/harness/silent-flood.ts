/** Connections that say nothing, or nothing whole, opened as fast as they are taken, and held. */
import type { Socket } from "bun";
import { Conditions } from "./deadline.ts";

export class SilentFlood implements AsyncDisposable {
  /** Connections that were opened, and not ended by the server since. */
  readonly open = new Set<Socket>();
  /** Attempts that were refused. */
  refused = 0;
  readonly #port: number;
  readonly #conditions = new Conditions();

  constructor(port: number) {
    this.#port = port;
  }

  /** As many attempts, a few at a time; settles once all have succeeded or failed. */
  async begin(connections: number): Promise<void> {
    const lanes = Array.from({ length: 20 }, async (_, lane) => {
      for (let i = lane; i < connections; i += 20) await this.#connect();
    });
    await Promise.all(lanes);
  }

  /** Settles once the server has ended all but `left` of them. */
  async endedBut(left: number, ms: number): Promise<void> {
    const fewer = () => this.open.size <= left || undefined;
    await this.#conditions.until(fewer, () => `${left} of ${this.open.size} connections to be left`, ms);
  }

  end(): void {
    for (const socket of this.open) socket.terminate();
    this.open.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
  }

  async #connect(): Promise<void> {
    const close = (socket: Socket) => {
      this.open.delete(socket);
      this.#conditions.check();
    };
    try {
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: this.#port,
        socket: { data() {}, close, error() {} },
      });
      this.open.add(socket);
      // A system may keep a connection to itself until there is something to read.
      socket.write("G");
    } catch {
      this.refused++;
    }
  }
}
