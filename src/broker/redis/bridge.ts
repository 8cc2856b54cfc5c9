/**
 * Keeps this instance connected: two connections to one server, one for calls and one that listens, made and given up
 * together. A heartbeat goes out by the one and must come back by the other: being connected proves nothing.
 */
import type { Logger } from "../../core/logger.ts";
import { Backoff } from "../../lib/backoff.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Calls } from "./calls.ts";
import type { Channels } from "./channels.ts";
import { type Link, openLink, ScriptRunner, type Target, UnusableError } from "./connect.ts";
import { inboxOf } from "./keys.ts";

const beatMs = 1000;
/** Beats without an answer, or not heard by the listening connection, after which both are given up. */
const missedMax = 3;
/** How long a start waits for a server that cannot be reached. */
const startMs = 10_000;
const backoff = { minMs: 200, maxMs: 3000 };

export interface BridgeParts {
  readonly target: Target;
  readonly instance: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly calls: Calls;
  readonly channels: Channels;
  readonly receive: (packet: Buffer) => void;
  /** Renews what Redis holds of this instance; sends a heartbeat message. */
  readonly beat: () => Promise<void>;
  /** Connected, with a lease: what instances share is to be brought up to date before anything is served. */
  readonly join: (listener: Link) => Promise<void>;
  /** Connected again, and listening to all that is wanted. */
  readonly onResumed: () => void;
  /** Each second while connected. */
  readonly onBeat: () => void;
}

interface Pair {
  readonly commands: Link;
  readonly listener: Link;
}

export class Bridge {
  readonly counts = { reconnects: 0, failures: 0 };
  readonly #parts: BridgeParts;
  readonly #backoff = new Backoff(backoff);
  #pair: Pair | null = null;
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
  #lastTickMs = 0;
  readonly #sentMs = new Map<number, number>();
  #lagMs = 0;

  readonly #receive = (packet: Buffer): void => {
    this.#heardCount++;
    this.#parts.receive(packet);
  };

  constructor(parts: BridgeParts) {
    this.#parts = parts;
    parts.calls.onLost = (reason) => this.#lost(reason);
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
    const { target, instance, calls, channels, beat, join } = this.#parts;
    const commands = await openLink(target);
    let listener: Link | null = null;
    try {
      const second = (listener = await openLink(target));
      if (Buffer.compare(commands.runId, second.runId) !== 0) throw new Error("Two connections led to two servers");
      const pair: Pair = { commands, listener: second };
      const runner = new ScriptRunner(commands);
      await runner.load();
      this.#pair = pair;
      void Promise.race([commands.ended, second.ended]).then((reason) => this.#lost(reason, pair));
      calls.use(runner, commands.runId);
      this.#unanswered = this.#unheard = 0;
      await second.subscribe([inboxOf(instance)], (packet) => this.#heard(Number(packet.toString("latin1"))));
      await beat();
      await join(second);
      await channels.open({
        subscribe: (some) => second.subscribe(some, this.#receive),
        unsubscribe: (some) => second.unsubscribe(some, this.#receive),
        fence: () => second.ping(),
      });
      if (commands.isEnded || second.isEnded || this.#stopped) throw new Error("The connection was lost at once");
      this.#up = true;
      this.#backoff.reset();
    } catch (error) {
      commands.destroy();
      listener?.destroy();
      this.#tearDown();
      throw error;
    }
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
    if (this.#unanswered >= missedMax) return this.#lost(new Error("Redis does not answer"));
    if (this.#unheard >= missedMax) return this.#lost(new Error("The listening connection is dead"));
    this.#unanswered++;
    this.#unheard++;
    const pair = this.#pair;
    beat().then(
      () => {
        if (this.#pair === pair) this.#beatDone = true;
      },
      (error: unknown) => {
        if (this.#pair !== pair || this.#stopped) return;
        if (error instanceof UnusableError) this.#lost(error);
        else logger.debug("a heartbeat failed", { error: textOf(error) });
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

  #lost(reason: Error, pair: Pair | null = this.#pair): void {
    if (pair === null || this.#pair !== pair || this.#stopped) return;
    const wasUp = this.#up;
    this.#tearDown();
    // While connecting, whoever waits for the connection is told.
    if (!wasUp) return;
    this.#parts.logger.warn("Redis is away", { error: textOf(reason) });
    this.#retryLater();
  }

  #retryLater(): void {
    this.#retry = this.#parts.clock.after(50 + this.#backoff.nextMs(), () => {
      this.#connect().then(
        () => {
          this.counts.reconnects++;
          this.#parts.logger.info("Redis is back", { attempts: this.#backoff.attempts });
          this.#parts.onResumed();
        },
        (error: unknown) => {
          this.counts.failures++;
          if (this.#stopped) return;
          if (error instanceof UnusableError)
            this.#parts.logger.error("Redis cannot be used", { error: textOf(error) });
          this.#retryLater();
        },
      );
    });
  }

  #tearDown(): void {
    const pair = this.#pair;
    this.#pair = null;
    this.#up = false;
    this.#sentMs.clear();
    this.#parts.calls.use(null);
    this.#parts.channels.close();
    pair?.commands.destroy();
    pair?.listener.destroy();
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
