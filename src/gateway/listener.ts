/**
 * The one port, and the servers of the runtime behind it: at most one listens. Those that no longer do live on while
 * somebody is connected to them, so a new certificate, or a pause in listening, ends no connection.
 */
import type { Logger } from "../core/logger.ts";
import type { NativeServer } from "../hub/subscriber.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { TlsOptions } from "./certificates.ts";

/** One server of the runtime. */
export interface Served {
  readonly server: {
    readonly port: number | undefined;
    stop(endConnections: boolean): Promise<void>;
  };
  readonly topics: NativeServer;
}

export interface ListenerParts {
  /** 0: any free port, which is then kept. */
  readonly port: number;
  /** Other processes may listen on the port too; so two servers of this one may for a moment. */
  readonly reusePort: boolean;
  /** Null: without TLS. */
  readonly tls: TlsOptions | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** Starts to listen. @throws where the port is in use or the certificates cannot be used */
  readonly start: (port: number, tls: TlsOptions | null) => Served;
  /** Asks all who are connected to these topics to connect anew. */
  readonly disperse: (topics: NativeServer) => void;
}

/**
 * Servers that no longer listen, at most. Each that still has WebSockets costs a little with every frame that is
 * published, so beyond these the clients of the oldest are asked to come back.
 */
export const retiredMax = 8;
const retryMs = 500;

export class PortListener {
  readonly counts = { pauses: 0 };
  readonly port: number;
  readonly #parts: ListenerParts;
  /** Oldest first. */
  readonly #retired = new Set<Served>();
  #tls: TlsOptions | null;
  #current: Served | null;
  #wanted: "listening" | "paused" | "stopped" = "listening";
  #retry: Timer | null = null;

  /** @throws where the port is in use, not permitted, or the certificates cannot be used */
  constructor(parts: ListenerParts) {
    this.#parts = parts;
    this.#tls = parts.tls;
    this.#current = parts.start(parts.port, parts.tls);
    this.port = this.#current.server.port ?? parts.port;
  }

  get listening(): boolean {
    return this.#current !== null;
  }

  /** Servers that live on without listening. */
  get retired(): number {
    return this.#retired.size;
  }

  /**
   * Whoever connects from now on gets these certificates. Without `reusePort` nobody listens for the few milliseconds
   * that it takes: the port stays this process's alone.
   * @throws where they cannot be used; those before stay
   */
  use(tls: TlsOptions): void {
    const before = this.#tls;
    const old = this.#current;
    this.#tls = tls;
    if (old === null) return;
    try {
      if (!this.#parts.reusePort) this.#retire();
      this.#current = this.#parts.start(this.port, tls);
      if (this.#parts.reusePort) this.#keep(old);
    } catch (error) {
      this.#tls = before;
      if (this.#current === null) this.#listen();
      throw error;
    }
  }

  /** Connections are refused by the system until `resume`. */
  pause(): void {
    if (this.#wanted !== "listening") return;
    this.#wanted = "paused";
    this.counts.pauses++;
    this.#retire();
  }

  resume(): void {
    if (this.#wanted !== "paused") return;
    this.#wanted = "listening";
    this.#listen();
  }

  /** Listens no more; established connections live on. */
  stop(): void {
    this.#wanted = "stopped";
    this.#retry?.cancel();
    this.#retry = null;
    this.#retire();
  }

  /** Ends what is left. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all([...this.#retired].map(({ server }) => server.stop(true)));
    this.#retired.clear();
  }

  /** Where the port is taken meanwhile, tries until it is free. */
  #listen(): void {
    if (this.#wanted !== "listening" || this.#current !== null) return;
    try {
      this.#current = this.#parts.start(this.port, this.#tls);
      if (this.#retry !== null) this.#parts.log.info("listening again", { port: this.port });
      this.#retry = null;
    } catch (error) {
      if (this.#retry === null) {
        this.#parts.log.error("cannot listen again: new connections are refused until the port is free", {
          port: this.port,
          error,
        });
      }
      this.#retry = this.#parts.clock.after(retryMs, () => this.#listen());
    }
  }

  #retire(): void {
    const old = this.#current;
    this.#current = null;
    if (old !== null) this.#keep(old);
  }

  /** Takes a server out of the port, for as long as somebody is connected to it. */
  #keep(old: Served): void {
    this.#retired.add(old);
    void old.server.stop(false).then(() => this.#retired.delete(old));
    for (const { topics } of [...this.#retired].slice(0, -retiredMax)) this.#parts.disperse(topics);
  }
}
