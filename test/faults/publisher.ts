/**
 * Publishes numbered messages through random instances: each with an id, again with the same id where the answer allows it or
 * does not come, so that each is in its log once.
 */
import { errors } from "../../src/core/codes.ts";
import { op } from "../../src/wire/messages.ts";
import type { LiveMessage } from "./live.ts";
import { type WireMessage, WireSocket } from "./socket.ts";
import type { World } from "./world.ts";

const retryable = new Set<unknown>([
  errors.internal.code,
  errors.tooManyRequests.code,
  errors.unavailable.code,
  errors.outcomeUnknown.code,
]);
/** How long an answer may take before it is asked for elsewhere. */
const patienceMs = 2500;
/** Messages without an answer, beyond which nothing new is published. */
const outstandingMax = 3000;
const tickMs = 10;
const filler = "0123456789abcdef0123456789abcdef";

interface LogMessage {
  readonly tag: string;
  readonly n: number;
  readonly issuedMs: number;
  /** Without an answer, or refused, so many times. */
  failures: number;
}

interface Sent {
  readonly log: LogMessage | null;
  readonly live: LiveMessage | null;
  readonly sentMs: number;
}

/** Connections are counted over all publishers: numbers of live-only messages are those of a connection. */
let connections = 0;

class PublisherLink {
  readonly instance: number;
  readonly pending = new Map<number, Sent>();
  readonly #publisher: Publisher;
  readonly #world: World;
  readonly #seqs = new Map<string, number>();
  #socket: WireSocket | null = null;
  #id = 0;
  #ref = 0;
  #outbox: WireMessage[] = [];

  constructor(publisher: Publisher, instance: number, world: World) {
    this.#publisher = publisher;
    this.instance = instance;
    this.#world = world;
  }

  get isOpen(): boolean {
    return this.#socket !== null;
  }

  connect(): void {
    const { instances } = this.#world;
    const socket = new WireSocket(
      instances.url(this.instance),
      { token: instances.token },
      {
        opened: () => {
          this.#socket = socket;
          this.#id = ++connections;
          this.#seqs.clear();
        },
        message: (message) => this.#take(message),
        closed: () => this.#closed(),
      },
    );
  }

  publish(message: LogMessage): void {
    const { tag, n } = message;
    this.#queue({ log: message, live: null, sentMs: performance.now() }, tag, [n, filler], { id: `${tag}#${n}` });
  }

  publishLive(tag: string): void {
    const seq = (this.#seqs.get(tag) ?? 0) + 1;
    this.#seqs.set(tag, seq);
    const nowMs = performance.now();
    const live = { tag, connection: this.#id, seq, instance: this.instance, issuedMs: nowMs };
    this.#queue({ log: null, live, sentMs: nowMs }, tag, [this.#id, seq], null);
  }

  flush(): void {
    if (this.#outbox.length > 0) this.#socket?.send(...this.#outbox);
    this.#outbox = [];
    const [oldest] = this.pending.values();
    if (oldest !== undefined && performance.now() - oldest.sentMs > patienceMs) this.#socket?.terminate();
  }

  stop(): void {
    this.#socket?.terminate();
  }

  #queue(sent: Sent, tag: string, payload: unknown, options: Record<string, unknown> | null): void {
    const ref = ++this.#ref;
    this.pending.set(ref, sent);
    this.#outbox.push(options === null ? [op.publish, ref, tag, payload] : [op.publish, ref, tag, payload, options]);
  }

  #take([kind, ref, detail, text]: WireMessage): void {
    if (kind !== op.ok && kind !== op.error) return;
    const sent = this.pending.get(ref as number);
    this.pending.delete(ref as number);
    if (sent === undefined) return;
    if (kind === op.error) {
      if (!retryable.has(detail))
        this.#world.verdict.violation(`a publish was refused: ${String(detail)} ${String(text)}`);
      if (sent.log !== null) this.#publisher.again(sent.log);
      return;
    }
    if (sent.live !== null) return this.#world.live.acknowledged(sent.live);
    if (sent.log !== null) this.#acknowledged(sent.log, detail as Record<string, unknown>);
  }

  #acknowledged({ tag, n, issuedMs }: LogMessage, { position, repeated }: Readonly<Record<string, unknown>>): void {
    const [epoch, offset] = position as [number, number];
    this.#world.truth(tag).acknowledged(n, { epoch, offset }, issuedMs);
    this.#world.counts.acknowledged++;
    if (repeated === true) this.#world.counts.repeated++;
    this.#publisher.acknowledged(this.instance, n, issuedMs);
  }

  #closed(): void {
    this.#socket = null;
    this.#outbox = [];
    const lost = [...this.pending.values()];
    this.pending.clear();
    for (const { log } of lost) if (log !== null) this.#publisher.again(log);
    if (!this.#publisher.isStopped) setTimeout(() => this.connect(), this.#world.random.between(50, 250));
  }
}

export class Publisher {
  isStopped = false;
  /** When what an instance acknowledged last was issued. */
  readonly through: number[];
  readonly #world: World;
  readonly #links: readonly PublisherLink[];
  readonly #numbers: () => number;
  readonly #outstanding = new Map<number, LogMessage>();
  readonly #rate: number;
  readonly #liveRate: number;
  readonly #waiting: LogMessage[] = [];
  #ticker: ReturnType<typeof setInterval> | null = null;
  #lastMs = 0;
  #due = 0;
  #liveDue = 0;
  #next = 0;
  #paused = false;

  /** @param numbers gives each message of all publishers a number of its own */
  constructor(world: World, rate: { readonly log: number; readonly live: number }, numbers: () => number) {
    this.#world = world;
    this.#rate = rate.log;
    this.#liveRate = rate.live;
    this.#numbers = numbers;
    const { count } = world.instances;
    this.#links = Array.from({ length: count }, (_, i) => new PublisherLink(this, i, world));
    this.through = this.#links.map(() => 0);
  }

  start(): void {
    for (const link of this.#links) link.connect();
    this.#lastMs = performance.now();
    this.#ticker = setInterval(() => this.#tick(), tickMs);
  }

  /** Publishes nothing new; what has no answer yet is still seen to. */
  pause(): void {
    this.#paused = true;
  }

  stop(): void {
    this.isStopped = true;
    if (this.#ticker !== null) clearInterval(this.#ticker);
    for (const link of this.#links) link.stop();
  }

  get outstanding(): number {
    return this.#outstanding.size;
  }

  /** When the oldest message without an answer was issued; Infinity where there is none. */
  oldestMs(): number {
    const [first] = this.#outstanding.values();
    return first?.issuedMs ?? Infinity;
  }

  again(message: LogMessage): void {
    this.#world.counts.retried++;
    const boundMs = Math.min(1000, 100 * 2 ** message.failures++);
    setTimeout(() => this.#waiting.push(message), this.#world.random.between(50, 50 + boundMs));
  }

  acknowledged(instance: number, n: number, issuedMs: number): void {
    this.#outstanding.delete(n);
    this.through[instance] = Math.max(this.through[instance]!, issuedMs);
  }

  #tick(): void {
    const nowMs = performance.now();
    const seconds = (nowMs - this.#lastMs) / 1000;
    this.#lastMs = nowMs;
    const open = this.#links.filter(({ isOpen }) => isOpen);
    const { random, tags, liveTags } = this.#world;
    if (open.length > 0) {
      for (const message of this.#waiting.splice(0)) random.pick(open).publish(message);
      this.#due = Math.min(this.#due + seconds * this.#rate, this.#rate);
      for (; this.#due >= 1 && !this.#paused && this.#outstanding.size < outstandingMax; this.#due--) {
        const message = { tag: tags[this.#next++ % tags.length]!, n: this.#numbers(), issuedMs: nowMs, failures: 0 };
        this.#outstanding.set(message.n, message);
        random.pick(open).publish(message);
      }
      this.#liveDue = Math.min(this.#liveDue + seconds * this.#liveRate, this.#liveRate);
      for (; this.#liveDue >= 1 && !this.#paused; this.#liveDue--) random.pick(open).publishLive(random.pick(liveTags));
    }
    for (const link of this.#links) link.flush();
  }
}
