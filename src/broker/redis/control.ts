/**
 * What instances on one Redis share beside messages: the ledger, counts of connections, orders and questions to all, and the
 * roster of instances. It lives by the connections and the lease of the broker: `bridge.ts` says when they are there.
 */
import type { Logger } from "../../core/logger.ts";
import type { Control, InstanceFigures, InstanceView, Replies, Shared } from "../../core/shared.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Calls } from "./calls.ts";
import { Asking, repliesOf } from "./control/asking.ts";
import { RedisCounts } from "./control/counts.ts";
import { type CommitEntry, RedisLedger } from "./control/ledger.ts";
import { controlChannel, OrderLog } from "./control/orders.ts";
import { Roster } from "./control/roster.ts";

export interface ControlParts {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly instance: string;
  /** Of the lease there is now. */
  readonly incarnation: () => string;
}

/** The connection that listens, as far as this is concerned. */
interface Listener {
  subscribe(channels: readonly string[], listener: (packet: Buffer) => void): Promise<void>;
}

export class RedisControl implements Shared, Control {
  readonly instance: string;
  readonly ledger: RedisLedger;
  readonly counts: RedisCounts;
  readonly #parts: ControlParts;
  readonly #orders: OrderLog;
  readonly #asking: Asking;
  readonly #roster: Roster;
  #figures: (() => InstanceFigures) | null = null;

  constructor(parts: ControlParts) {
    const { calls, clock, logger, instance, incarnation } = parts;
    this.#parts = parts;
    this.instance = instance;
    this.#orders = new OrderLog(calls, logger, (order) => this.#ordered(order));
    this.ledger = new RedisLedger({ calls, clock, logger, readOrders: () => this.#orders.read() });
    this.counts = new RedisCounts({ calls, clock, incarnation });
    this.#asking = new Asking(parts);
    this.#roster = new Roster(calls);
  }

  get control(): Control {
    return this;
  }

  /** The instances, as of the last second. */
  get views(): readonly InstanceView[] {
    return this.#roster.views;
  }

  describe(figures: () => InstanceFigures): void {
    this.#figures = figures;
    this.#tell().catch(this.#troubled);
  }

  on(name: string, handle: (question: unknown) => unknown): void {
    this.#asking.on(name, handle);
  }

  async ask(name: string, question: unknown): Promise<Replies> {
    const instances = await this.#instances();
    return await this.#asking.say({ name, what: question }, instances, async (word) => {
      await this.#asking.heard(word);
      try {
        await this.#parts.calls.publish(controlChannel, `q${JSON.stringify(word)}`);
        return true;
      } catch (error) {
        this.#troubled(error);
        return false;
      }
    });
  }

  async order(name: string, what: unknown): Promise<Replies> {
    const instances = await this.#instances();
    return await this.#asking.say({ name, what }, instances, async (word) => {
      await this.#orders.append({ word });
      await this.#orders.read();
      return true;
    });
  }

  /** A connection is there, and the lease: settles when nothing is missed any more. */
  async open(listener: Listener): Promise<void> {
    await listener.subscribe([controlChannel, repliesOf(this.instance)], (packet) => this.#packet(packet.toString()));
    await this.#orders.resume();
    await this.ledger.check();
    await this.counts.recount();
    await this.#tell();
  }

  /** Each second while connected. */
  beat(): void {
    Promise.all([this.ledger.catchUp(), this.counts.beat(), this.#tell()]).catch(this.#troubled);
  }

  /** This instance goes. */
  async end(): Promise<void> {
    const incarnation = this.#parts.incarnation();
    await this.#parts.calls.command(["DEL", `tc1:{all}:k:${incarnation}`, `tc1:{all}:info:${incarnation}`]);
  }

  readonly #troubled = (error: unknown): void => {
    this.#parts.logger.debug("what instances share is not up to date", { error });
  };

  /** Ids of the instances there are, this one first; those of a second ago where Redis does not say. */
  async #instances(): Promise<string[]> {
    await this.#tell().catch(this.#troubled);
    const others = this.#roster.views.map(({ instance }) => instance).filter((id) => id !== this.instance);
    return [this.instance, ...others];
  }

  async #tell(): Promise<void> {
    const { instance, incarnation } = this.#parts;
    const figures = this.#figures?.();
    await this.#roster.read(figures === undefined ? null : { instance, incarnation: incarnation(), figures });
  }

  #packet(text: string): void {
    try {
      if (text === "o") this.#orders.read().catch(this.#troubled);
      else if (text.startsWith("q")) this.#asking.heard(JSON.parse(text.slice(1))).catch(this.#troubled);
      else if (text.startsWith("{")) this.#asking.replied(text);
    } catch (error) {
      this.#troubled(error);
    }
  }

  async #ordered(order: unknown): Promise<void> {
    if (!(order instanceof Object)) return;
    if ("commit" in order) await this.ledger.heard(order.commit as CommitEntry);
    else if ("word" in order) await this.#asking.heard(order.word);
  }
}
