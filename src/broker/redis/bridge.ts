/**
 * Keeps this instance connected. A heartbeat goes out by the connection for calls and must come back by the one that listens:
 * being connected proves nothing.
 */
import type { Logger } from "../../core/logger.ts";
import { Backoff } from "../../lib/backoff.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Calls } from "./calls.ts";
import type { Channels } from "./channels.ts";
import { UnusableError } from "./connect.ts";
import { inboxOf } from "./keys.ts";
import type { Connection, Receive } from "./servers/connection.ts";
import type { Servers } from "./servers/open.ts";

const beatMs = 1000;
/** Beats without an answer, or not heard by the listening connection, after which both are given up. */
const missedMax = 3;
/** How long a connection may take to be of use: of the commands that this needs one may never be answered, while others are. */
const serveMs = 30_000;
/** How long a start waits for a server that cannot be reached. */
const startMs = 10_000;
const backoff = { minMs: 200, maxMs: 3000 };
/** Between two lines of the log about a server that answers, but refuses what is to be kept. */
const refusalMs = 60_000;

export interface BridgeParts {
  readonly servers: Servers;
  readonly instance: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly calls: Calls;
  readonly channels: Channels;
  readonly receive: Receive;
  /** Renews what Redis holds of this instance; sends a heartbeat message. */
  readonly beat: () => Promise<void>;
  /** Connected, with a lease: what instances share is to be brought up to date before anything is served. */
  readonly join: (connection: Connection) => Promise<void>;
  /** Connected again, and listening to all that is wanted. */
  readonly onResumed: () => void;
  /** Still connected, to other servers in part: what was announced meanwhile may be lost. */
  readonly onMoved: () => void;
  /** Each second while connected. */
  readonly onBeat: () => void;
}

export class Bridge {
  readonly counts = { reconnects: 0, failures: 0 };
  readonly #parts: BridgeParts;
  readonly #backoff = new Backoff(backoff);
  #connection: Connection | null = null;
  #up = false;
  #stopped = false;
  #ticker: Timer | null = null;
  #retry: Timer | null = null;
  /** Beats since anything was answered; beats answered since anything was heard. */
  #unanswered = 0;
  #unheard = 0;
  #answered = 0;
  #heardCount = 0;
  #heardBefore = 0;
  /** Whether the last beat was answered, and so should have been heard. */
  #beatDone = false;
  /** Why the last beat failed, or attempt to connect, as told in the log; null: it did not. */
  #problem: string | null = null;
  #lastTickMs = 0;
  #refusalToldMs = -Infinity;
  readonly #sentMs = new Map<number, number>();
  #lagMs = 0;

  readonly #receive = (packet: Buffer, source: number): void => {
    this.#heardCount++;
    this.#parts.receive(packet, source);
  };

  constructor(parts: BridgeParts) {
    this.#parts = parts;
    parts.calls.onLost = (reason) => this.#lost(reason);
    parts.calls.onRefused = (reason) => this.#refused(reason);
  }

  get up(): boolean {
    return this.#up;
  }

  /** Milliseconds that the last heartbeat took through Redis. */
  get lagMs(): number {
    return this.#lagMs;
  }

  /** Connects. @throws where Redis cannot be used, or is not reached for ten seconds */
  async start(): Promise<void> {
    const { clock } = this.#parts;
    const begunMs = clock.monotonicMs();
    for (;;) {
      try {
        await this.#connect();
        this.#backoff.reset();
        break;
      } catch (error) {
        if (error instanceof UnusableError || clock.monotonicMs() - begunMs > startMs) {
          throw error instanceof UnusableError ? error : new Error(`Redis cannot be reached: ${textOf(error)}`);
        }
        await new Promise<void>((resolve) => clock.after(100 + this.#backoff.nextMs(), resolve));
      }
    }
    this.#ticker = clock.every(beatMs, () => this.#tick());
  }

  stop(): void {
    this.#stopped = true;
    this.#ticker?.cancel();
    this.#retry?.cancel();
    this.#tearDown();
  }

  /** A heartbeat message is about to be sent. */
  sent(call: number): void {
    this.#sentMs.set(call, this.#parts.clock.monotonicMs());
  }

  async #connect(): Promise<void> {
    const { servers, clock, onMoved, calls } = this.#parts;
    const connection = await servers.connect();
    const failed = Promise.withResolvers<never>();
    const deadline = clock.after(serveMs, () =>
      failed.reject(new Error(`Connected, but of no use within ${serveMs / 1000} s`)),
    );
    try {
      this.#connection = connection;
      void connection.ended.then((reason) => {
        failed.reject(reason);
        this.#lost(reason, connection);
      });
      connection.onMoved = () => {
        // While it is being made all is told at its end.
        if (this.#up && this.#connection === connection) onMoved();
      };
      calls.use(connection);
      this.#unanswered = this.#unheard = 0;
      await Promise.race([this.#prepare(connection), failed.promise]);
      if (connection.isEnded || this.#stopped) throw new Error("The connection was lost at once");
      this.#up = true;
      this.#problem = null;
    } catch (error) {
      connection.destroy();
      this.#tearDown();
      throw error;
    } finally {
      deadline.cancel();
    }
  }

  async #prepare(connection: Connection): Promise<void> {
    const { instance, channels, beat, join } = this.#parts;
    await connection.subscribe([inboxOf(instance)], (packet) => this.#heard(Number(packet.toString("latin1"))));
    await beat();
    await join(connection);
    await channels.open({
      subscribe: (some) => connection.subscribe(some, this.#receive),
      unsubscribe: (some) => connection.unsubscribe(some, this.#receive),
      fence: () => connection.fence(),
    });
  }

  #tick(): void {
    const { clock, beat, onBeat, logger, calls } = this.#parts;
    const nowMs = clock.monotonicMs();
    // After a pause of this process what has arrived meanwhile is yet to be read.
    const slept = nowMs - this.#lastTickMs > 2.5 * beatMs;
    this.#lastTickMs = nowMs;
    onBeat();
    if (!this.#up) return;
    // Whatever is answered, or heard, shows as well as a beat that there is somebody.
    if (slept || calls.counts.answered > this.#answered) this.#unanswered = 0;
    if (slept || this.#heardCount > this.#heardBefore || !this.#beatDone) this.#unheard = 0;
    this.#answered = calls.counts.answered;
    this.#heardBefore = this.#heardCount;
    this.#beatDone = false;
    if (this.#unanswered >= missedMax) return this.#lost(new Error(this.#problem ?? "Redis does not answer"));
    if (this.#unheard >= missedMax) return this.#lost(new Error("The listening connection is dead"));
    this.#unanswered++;
    this.#unheard++;
    const connection = this.#connection;
    connection?.beat();
    beat().then(
      () => {
        if (this.#connection !== connection) return;
        this.#beatDone = true;
        this.#problem = null;
      },
      (error: unknown) => {
        if (this.#connection !== connection || this.#stopped) return;
        if (error instanceof UnusableError) return this.#lost(error);
        this.#problem = textOf(error);
        logger.debug("a heartbeat failed", { error: this.#problem });
      },
    );
  }

  #heard(call: number): void {
    this.#heardCount++;
    const sentMs = this.#sentMs.get(call);
    if (sentMs === undefined) return;
    for (const earlier of this.#sentMs.keys()) {
      this.#sentMs.delete(earlier);
      if (earlier === call) break;
    }
    this.#lagMs = this.#parts.clock.monotonicMs() - sentMs;
  }

  #lost(reason: Error, connection: Connection | null = this.#connection): void {
    if (connection === null || this.#connection !== connection || this.#stopped) return;
    const wasUp = this.#up;
    this.#tearDown();
    // While connecting, whoever waits for the connection is told.
    if (!wasUp) return;
    this.#problem = textOf(reason);
    this.#parts.logger.warn("Redis is away", { error: this.#problem });
    this.#retryLater();
  }

  #retryLater(): void {
    this.#retry = this.#parts.clock.after(50 + this.#backoff.nextMs(), () => {
      this.#connect().then(
        () => {
          this.counts.reconnects++;
          this.#parts.logger.info("Redis is back", { attempts: this.#backoff.attempts });
          this.#backoff.reset();
          this.#parts.onResumed();
        },
        (error: unknown) => {
          this.counts.failures++;
          if (this.#stopped) return;
          this.#report(error);
          this.#retryLater();
        },
      );
    });
  }

  /** Publishers are told to try again, and nobody else hears of it. */
  #refused(reason: Error): void {
    const { clock, logger } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#refusalToldMs < refusalMs) return;
    this.#refusalToldMs = nowMs;
    logger.warn("Redis refuses what it is to keep", { error: textOf(reason) });
  }

  /** The same problem is told once. */
  #report(error: unknown): void {
    const problem = textOf(error);
    if (problem === this.#problem) return;
    this.#problem = problem;
    const { logger } = this.#parts;
    if (error instanceof UnusableError) logger.error("Redis cannot be used", { error: problem });
    else logger.warn("Redis cannot be reached", { error: problem });
  }

  #tearDown(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#up = false;
    this.#sentMs.clear();
    this.#parts.calls.use(null);
    this.#parts.channels.close();
    connection?.destroy();
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
