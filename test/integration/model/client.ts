/**
 * A reference client: knows the protocol and nothing of the server or the SDK. It says what it wants, checks every
 * message as it comes, and keeps the positions to continue from.
 */
import { errors } from "../../../src/core/codes.ts";
import type { FakeConnection } from "../../harness/native.ts";
import type { Random } from "../../harness/random.ts";
import { readPages } from "./history.ts";
import type { Fields, ModelSubscription } from "./subscription.ts";
import type { Truth } from "./truth.ts";
import { promise, Violation } from "./violation.ts";
import { readFrame, type WireMessage, writeFrame } from "./wire.ts";

const op = { connect: 1, subscribe: 2, unsubscribe: 3, publish: 4, history: 5, refresh: 7, ping: 9 } as const;

export interface Handlers {
  done(result: Fields): void;
  /** Absent: no error is expected. */
  failed?(code: number): void;
}

/** A publish that may be repeated with its key. */
export interface Keyed {
  readonly tag: string;
  readonly payload: unknown;
  readonly number: number;
  readonly id: string;
}

/** Errors that a publish or subscribe may get although nothing is wrong with it. */
const excused: ReadonlySet<number> = new Set([
  errors.unavailable.code,
  errors.outcomeUnknown.code,
  errors.payloadTooLarge.code,
  errors.denied.code,
]);

export class ModelClient {
  readonly name: string;
  readonly subscriptions = new Map<string, ModelSubscription>();
  readonly keyed: Keyed[] = [];
  connection: FakeConnection | null = null;
  /** Names the connection in the truth. */
  number = -1;
  echo = true;
  readonly #truth: Truth;
  readonly #random: Random;
  readonly #requests = new Map<number, Handlers & { readonly what: string }>();
  #ref = 0;
  #frame: WireMessage[] | null = null;

  constructor(name: string, truth: Truth, random: Random) {
    this.name = name;
    this.#truth = truth;
    this.#random = random;
  }

  get online(): boolean {
    return this.connection !== null;
  }

  /** Requests that were not answered yet. */
  get unanswered(): readonly string[] {
    return [...this.#requests.values()].map(({ what }) => what);
  }

  opened(connection: FakeConnection, number: number): void {
    this.connection = connection;
    this.number = number;
  }

  /** Op 1, where the credential did not come with the upgrade. */
  sendConnect(echo: boolean): void {
    this.echo = echo;
    this.request([op.connect, { token: this.name, client: this.name, echo }], {
      done: (result) =>
        promise(result["client"] === this.name, () => `${this.name} was called ${String(result["client"])}`),
    });
  }

  /** What `send` asks for while `fill` runs leaves in one frame. */
  inOneFrame(fill: () => void): void {
    this.#frame = [];
    fill();
    const messages = this.#frame;
    this.#frame = null;
    if (messages.length > 0) this.connection?.send(writeFrame(this.connection.lane, messages));
  }

  /** Sends an operation (without its ref) that is to be answered. */
  request([operation, ...rest]: WireMessage, handlers: Handlers): void {
    const ref = ++this.#ref;
    this.#requests.set(ref, { ...handlers, what: `${String(operation)} ${String(rest[0])}` });
    this.#send([operation, ref, ...rest]);
  }

  subscribe(subscription: ModelSubscription, last: number, fresh: boolean): void {
    this.subscriptions.set(subscription.pattern, subscription);
    const options = subscription.ask(this.number, last, fresh);
    this.request([op.subscribe, subscription.pattern, options], {
      done: (result) => {
        for (const [tag, [epoch, offset]] of subscription.answered(result)) {
          readPages(this, this.#truth, { tag, epoch, end: offset });
        }
      },
      failed: (code) => {
        const left = code === errors.notSubscribed.code && subscription.state === "leaving";
        this.#end(subscription);
        promise(left || excused.has(code), () => `subscribe to ${subscription.pattern}: error ${code}`);
      },
    });
  }

  unsubscribe(subscription: ModelSubscription): void {
    subscription.state = "leaving";
    this.request([op.unsubscribe, subscription.pattern], {
      done: () => this.#end(subscription),
      failed: (code) => {
        this.#end(subscription);
        promise(code === errors.notSubscribed.code, () => `unsubscribe from ${subscription.pattern}: error ${code}`);
      },
    });
  }

  /** `payload` makes what is sent of its number. */
  publish(
    tags: readonly string[],
    options: { id?: string; echo?: boolean },
    payload: (number: number) => unknown,
  ): void {
    const number = this.#truth.publish(this.number, options.echo ?? this.echo, options.id !== undefined);
    const value = payload(number);
    const [tag] = tags;
    if (tag !== undefined && tags.length === 1) {
      if (options.id !== undefined) this.keyed.push({ tag, payload: value, number, id: options.id });
      this.#publish(tag, value, options, (result) => this.#checkOutcome(tag, result["position"], number));
      return;
    }
    this.#publish(tags, value, options, (result) => {
      const results = result["results"] as readonly unknown[];
      promise(results.length === tags.length, () => `${tags.length} tags, ${results.length} results`);
      for (const [i, name] of tags.entries()) {
        if (typeof results[i] !== "number") this.#checkOutcome(name, results[i] ?? undefined, number);
        else promise(excused.has(results[i]), () => `publish to ${name}: error ${String(results[i])}`);
      }
    });
  }

  /** The same publish again: the answer names the first one's position. */
  repeat({ tag, payload, number, id }: Keyed): void {
    this.#truth.publishAgain(number, this.number, this.echo);
    this.#publish(tag, payload, { id }, (result) => {
      if (result["repeated"] === true) this.#truth.seen.repeated++;
      this.#checkOutcome(tag, result["position"], number);
    });
  }

  /** The same credential again: what follows waits until it was checked. */
  refresh(): void {
    this.request([op.refresh, this.name], { done() {} });
  }

  ping(): void {
    this.request([op.ping], { done() {} });
  }

  history(tag: string, options: Fields, handlers: Handlers): void {
    this.request([op.history, tag, options], handlers);
  }

  /** Frames of the server, as the client reads them. */
  frame(frame: Uint8Array | string): void {
    for (const message of readFrame(frame)) this.#receive(message);
  }

  closed(): void {
    this.connection = null;
    this.#requests.clear();
    for (const subscription of [...this.subscriptions.values()]) {
      if (subscription.state === "leaving") this.subscriptions.delete(subscription.pattern);
      subscription.lost();
    }
  }

  #send(message: WireMessage): void {
    if (this.#frame !== null) this.#frame.push(message);
    else this.connection?.send(writeFrame(this.connection.lane, [message]));
  }

  #publish(tags: unknown, payload: unknown, options: Fields, done: (result: Fields) => void): void {
    const message = Object.keys(options).length > 0 ? [tags, payload, options] : [tags, payload];
    // A publish that wants no answer gets none.
    if (this.#random.chance(0.1)) return this.#send([op.publish, 0, ...message]);
    const failed = (code: number) => promise(excused.has(code), () => `publish to ${String(tags)}: error ${code}`);
    this.request([op.publish, ...message], { done, failed });
  }

  #checkOutcome(tag: string, position: unknown, number: number): void {
    if (!this.#truth.keepsLog(tag)) return promise(position === undefined, () => `${tag} keeps no log`);
    const [epoch, offset] = position as readonly [number, number];
    const really = this.#truth.at(tag, epoch, offset);
    promise(really === number, () => `${tag}: ${number} is said to be at ${epoch}:${offset}, where ${really} is`);
  }

  #receive(message: WireMessage): void {
    switch (message[0]) {
      case 16:
        return this.#answer(message[1] as number).done(message[2] as Fields);
      case 17:
        return this.#error(message);
      case 18:
        return this.#message(message);
      case 19:
        return;
      case 20:
        return this.#gap(message);
      case 21:
        return this.#unsubscribed(message);
      case 22:
        return promise([3001, 3002].includes(message[1] as number), () => `disconnect: ${JSON.stringify(message)}`);
      default:
        throw new Violation(`an unknown message: ${JSON.stringify(message)}`);
    }
  }

  #answer(ref: number): Handlers {
    const handlers = this.#requests.get(ref);
    this.#requests.delete(ref);
    if (handlers === undefined) throw new Violation(`${this.name}: an answer to ref ${ref}, which asked nothing`);
    return handlers;
  }

  #error([, ref, code]: WireMessage): void {
    if (ref === 0) return promise(excused.has(code as number), () => `error ${String(code)} for ref 0`);
    const { failed } = this.#answer(ref as number);
    if (failed === undefined) throw new Violation(`${this.name}: ref ${String(ref)} failed with ${String(code)}`);
    failed(code as number);
  }

  #message(message: WireMessage): void {
    const [, tag, offset, payload, , pattern, epoch] = message as [
      18,
      string,
      number | null,
      unknown,
      unknown,
      string?,
      number?,
    ];
    const subscription = this.subscriptions.get(pattern ?? tag);
    if (subscription === undefined || !isLive(subscription))
      throw new Violation(`${this.name} is not subscribed to ${pattern ?? tag}: ${JSON.stringify(message)}`);
    promise(
      subscription.wildcard === (pattern !== undefined) && subscription.covers(tag),
      () => `of ${tag}: ${pattern}`,
    );
    promise((epoch !== undefined) === (offset !== null && subscription.wildcard), () => `epoch ${epoch} of ${tag}`);
    promise((offset !== null) === this.#truth.keepsLog(tag), () => `${tag} came with offset ${offset}`);
    this.#truth.seen.messages++;
    const number = (Array.isArray(payload) ? payload[0] : payload) as number;
    this.#checked(subscription, () => subscription.message(tag, offset, number, epoch ?? null));
  }

  #gap(message: WireMessage): void {
    const [, name, from, to, detail] = message as [20, string, number | null, number | null, Fields];
    const count = (detail["count"] ?? null) as number | null;
    const code = detail["code"] as number;
    this.#truth.seen.gaps[code] = (this.#truth.seen.gaps[code] ?? 0) + 1;
    if (to === null) {
      const subscription = this.subscriptions.get(name);
      if (subscription === undefined) throw new Violation(`a gap for ${name}, which is not subscribed to`);
      return this.#checked(subscription, () => subscription.liveGap(code, count));
    }
    const pattern = (detail["pattern"] ?? name) as string;
    const subscription = this.subscriptions.get(pattern);
    if (subscription === undefined || !isLive(subscription) || !subscription.covers(name)) {
      throw new Violation(`${this.name} is not subscribed to ${pattern}: ${JSON.stringify(message)}`);
    }
    const gap = { from, to, count, code, epoch: (detail["epoch"] ?? null) as number | null };
    this.#checked(subscription, () => subscription.gap(name, gap));
  }

  #unsubscribed([, pattern, code]: WireMessage): void {
    const subscription = this.subscriptions.get(pattern as string);
    const revoked = subscription !== undefined && code === 2000;
    if (!revoked) throw new Violation(`${String(pattern)} was unsubscribed with ${String(code)}`);
    this.#end(subscription);
  }

  #end(subscription: ModelSubscription): void {
    subscription.state = "ended";
    // It may have been asked for anew.
    if (this.subscriptions.get(subscription.pattern) === subscription) this.subscriptions.delete(subscription.pattern);
  }

  /** Says whose promise was broken. */
  #checked(subscription: ModelSubscription, check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      throw new Violation(`${this.name}, ${subscription.pattern}: ${error.message}`);
    }
  }
}

/** Whether messages may come. */
function isLive({ state }: ModelSubscription): boolean {
  return state === "active" || state === "leaving";
}
