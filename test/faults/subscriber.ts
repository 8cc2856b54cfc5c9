/** A client that reads: it reconnects to whatever instance answers, its own first, and goes on from its positions. */
import { errors } from "../../src/core/codes.ts";
import { op } from "../../src/wire/messages.ts";
import { type Lane, type WireMessage, WireSocket } from "./socket.ts";
import { Subscription } from "./subscription.ts";
import type { World } from "./world.ts";

const retryable = new Set<unknown>([errors.internal.code, errors.unavailable.code, errors.tooManyRequests.code]);
/** Silence after which it asks whether somebody is there, and after which it leaves. */
const silentMs = 15_000;
const deadMs = 20_000;

export interface SubscriberOptions {
  readonly name: string;
  /** Index of the instance that it prefers. */
  readonly home: number;
  readonly lane: Lane;
  readonly patterns: readonly string[];
}

export class Subscriber {
  readonly name: string;
  readonly subscriptions = new Map<string, Subscription>();
  readonly #world: World;
  readonly #options: SubscriberOptions;
  readonly #asked = new Map<number, Subscription>();
  #socket: WireSocket | null = null;
  #at = -1;
  #ref = 0;
  #attempts = 0;
  #farewellMs = 0;
  #stopped = false;

  constructor(world: World, options: SubscriberOptions) {
    this.name = options.name;
    this.#world = world;
    this.#options = options;
    for (const pattern of options.patterns) {
      this.subscriptions.set(pattern, new Subscription(options.name, pattern, world));
    }
  }

  get isWhole(): boolean {
    return this.#socket !== null && [...this.subscriptions.values()].every(({ confirmed }) => confirmed);
  }

  connect(): void {
    if (this.#stopped) return;
    const { instances, random } = this.#world;
    // Its own first, then whatever a load balancer would give it.
    this.#at = this.#attempts++ % 2 === 0 ? this.#options.home : random.int(instances.count);
    this.#farewellMs = 0;
    const { lane } = this.#options;
    const socket = new WireSocket(
      instances.url(this.#at),
      { token: instances.token, lane },
      {
        opened: () => {
          this.#socket = socket;
          this.#attempts = 0;
          for (const subscription of this.subscriptions.values()) this.#ask(subscription);
        },
        message: (message) => this.#take(message),
        closed: (code) => this.#closed(code),
      },
    );
  }

  /** Time goes by. */
  tick(): void {
    const socket = this.#socket;
    if (socket === null) return;
    const silence = performance.now() - socket.heardMs;
    if (silence > deadMs) socket.terminate();
    else if (silence > silentMs) socket.send([op.ping, 0]);
  }

  /** Leaves an instance that is not its own. */
  goHome(): void {
    if (this.#at !== this.#options.home) this.#socket?.terminate();
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.terminate();
  }

  #ask(subscription: Subscription): void {
    const options = subscription.options();
    const ref = ++this.#ref;
    this.#asked.set(ref, subscription);
    this.#socket?.send(
      options === null ? [op.subscribe, ref, subscription.pattern] : [op.subscribe, ref, subscription.pattern, options],
    );
  }

  #askLater(subscription: Subscription): void {
    const socket = this.#socket;
    subscription.ended();
    setTimeout(
      () => {
        if (this.#socket === socket && socket !== null) this.#ask(subscription);
      },
      this.#world.random.between(100, 400),
    );
  }

  #take(message: WireMessage): void {
    switch (message[0]) {
      case op.message:
        return this.#of(message[5] ?? message[1])?.message(message);
      case op.gap: {
        const { pattern } = message[4] as { pattern?: string };
        return this.#of(pattern ?? message[1])?.gap(message);
      }
      case op.ok:
        return this.#answered(message);
      case op.error:
        return this.#refused(message);
      case op.unsubscribed: {
        const subscription = this.#of(message[1]);
        if ((message[2] as number) < 2500) this.#wrong(`was unsubscribed: ${message.join(" ")}`);
        else if (subscription !== undefined) this.#askLater(subscription);
        return;
      }
      case op.disconnect:
        if ((message[1] as number) >= 3500) this.#wrong(`was sent away: ${message.join(" ")}`);
        this.#farewellMs = message[3] as number;
    }
  }

  #of(pattern: unknown): Subscription | undefined {
    const found = this.subscriptions.get(pattern as string);
    if (found === undefined) this.#wrong(`got something of ${String(pattern)}`);
    return found;
  }

  #answered([, ref, result]: WireMessage): void {
    const subscription = this.#asked.get(ref as number);
    this.#asked.delete(ref as number);
    subscription?.answered(result as Record<string, unknown>);
  }

  #refused([, ref, code, text]: WireMessage): void {
    const subscription = this.#asked.get(ref as number);
    this.#asked.delete(ref as number);
    if (subscription === undefined || !retryable.has(code))
      return this.#wrong(`was refused: ${String(code)} ${String(text)}`);
    this.#world.counts.refusedSubscribes++;
    this.#askLater(subscription);
  }

  #closed(code: number): void {
    if (this.#socket !== null) this.#world.counts.reconnects++;
    if (code >= 3500 && code < 4000) this.#wrong(`was closed: ${code}`);
    this.#socket = null;
    this.#asked.clear();
    for (const subscription of this.subscriptions.values()) subscription.ended();
    if (this.#stopped) return;
    const waitMs = this.#farewellMs > 0 ? this.#farewellMs : this.#world.random.between(20, 250);
    setTimeout(() => this.connect(), waitMs);
  }

  #wrong(what: string): void {
    this.#world.verdict.violation(`${this.name}: ${what}`);
  }
}
