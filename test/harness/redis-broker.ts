/** Redis brokers on a real server, and a clock by which tests let time pass for both. */
import { openRedisBroker, type RedisBroker, type RedisBrokerOptions } from "../../src/broker/redis.ts";
import type { Draft } from "../../src/broker/broker.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { TagRule } from "../../src/core/tag-rule.ts";
import { type Clock, systemClock, type Timer } from "../../src/lib/clock.ts";
import type { OpenBroker } from "../contract/broker.ts";
import { CollectingFeed, draft, main, roomy } from "../contract/broker/kit.ts";

interface Alarm {
  readonly dueMs: number;
  readonly run: () => void;
  readonly timer: Timer;
}

/** Real time, and on top of it the time that a test lets pass: what waits for a time runs early. For Redis only the latter passes. */
export class ShiftedClock implements Clock {
  aheadMs = 0;
  settle: () => Promise<void> = async () => {};
  readonly #alarms = new Set<Alarm>();
  readonly #begunMs = Date.now();
  readonly wallMs = (): number => systemClock.wallMs();
  readonly monotonicMs = (): number => systemClock.monotonicMs();
  readonly every = systemClock.every;
  readonly endOfTurn = systemClock.endOfTurn;

  /** By how much the time of Redis, on the same machine, is late. */
  readonly redisAheadMs = (): number => this.#begunMs + this.aheadMs - Date.now();

  after(delayMs: number, run: () => void): Timer {
    const once = () => {
      this.#alarms.delete(alarm);
      run();
    };
    const timer = systemClock.after(delayMs, once);
    const alarm: Alarm = { dueMs: this.aheadMs + delayMs, run: once, timer };
    this.#alarms.add(alarm);
    return {
      cancel: () => {
        this.#alarms.delete(alarm);
        timer.cancel();
      },
    };
  }

  /** Before time passes, `settle` waits for what is on its way. */
  async advance(ms: number): Promise<void> {
    await this.settle();
    const endMs = this.aheadMs + ms;
    for (;;) {
      const due = [...this.#alarms].filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (due === undefined) break;
      this.aheadMs = Math.max(this.aheadMs, due.dueMs);
      due.timer.cancel();
      due.run();
    }
    this.aheadMs = endMs;
  }
}

export function redisBroker(url: string, options: Partial<RedisBrokerOptions> = {}): RedisBroker {
  return openRedisBroker({
    url,
    slotLevels: 1,
    clock: systemClock,
    logger: silentLogger,
    idempotencyWindowMs: 10_000,
    ...options,
  });
}

export interface ContractPlace {
  readonly url: string;
  readonly slotLevels: number;
  /** Empties Redis. */
  readonly flush: () => Promise<void>;
}

/** Opens brokers for the contract of brokers. */
export function contractOpener({ url, slotLevels, flush }: ContractPlace): OpenBroker {
  return async (options) => {
    await flush();
    const clock = new ShiftedClock();
    const opened: { stop(): unknown }[] = [];
    let settled = 0;
    const make = () => {
      const broker = redisBroker(url, { ...options, slotLevels, clock, aheadMs: clock.redisAheadMs });
      opened.push(broker);
      // It is answered by every connection that brings announcements, after them: anything may match.
      clock.settle = async () => await broker.subscribe("settle", `+/${++settled}`);
      return broker;
    };
    return {
      broker: make(),
      clock,
      durable: true,
      settle: () => clock.settle(),
      restart: make,
      async close() {
        for (const broker of opened) await broker.stop();
      },
    };
  };
}

/** A started broker with its feed, as one instance of a cluster. */
export class Instance implements AsyncDisposable {
  readonly broker: RedisBroker;
  readonly feed = new CollectingFeed();

  private constructor(broker: RedisBroker) {
    this.broker = broker;
  }

  static async start(url: string, options: Partial<RedisBrokerOptions> = {}): Promise<Instance> {
    const instance = new Instance(redisBroker(url, options));
    await instance.broker.start(instance.feed);
    return instance;
  }

  /** Appends texts, or drafts, as one batch. */
  async append(tag: string, list: readonly (string | Draft)[], rule: TagRule = roomy) {
    const drafts = list.map((one) => (typeof one === "string" ? draft(one) : one));
    const [answer] = await this.broker.append([{ app: main, tag, rule, drafts }]);
    if (answer === undefined) throw new Error("No answer");
    return answer;
  }

  async read(tag: string, after = 0) {
    return await this.broker.history(main, tag, roomy, after, { count: 100_000, bytes: 1 << 30 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker.stop();
  }
}

/** Resolves once a condition holds that nothing tells of; asked again every few milliseconds. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string, ms = 15_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Not within ${ms} ms: ${what}`);
    await Bun.sleep(5);
  }
}
