/** A hub on a fake clock with subscribers on fake sockets, without sessions: what the tests of its parts share. */
import { decodeMulti, encode } from "@msgpack/msgpack";
import type { Broker } from "../../../src/broker/broker.ts";
import { type MemoryBroker, openMemoryBroker } from "../../../src/broker/memory.ts";
import type { ErrorCode, UnsubscribeCode } from "../../../src/core/codes.ts";
import { allGrants, Grants } from "../../../src/core/grants.ts";
import { type Identity, noCredentialLimits } from "../../../src/core/identity.ts";
import type { Position } from "../../../src/core/position.ts";
import { type HistoryRule, liveOnly, type TagRule } from "../../../src/core/tag-rule.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { Publisher, Requester, Subscriber } from "../../../src/hub/subscriber.ts";
import { createFrames, type Frames } from "../../../src/wire/frames.ts";
import type { Lane, ResultValue } from "../../../src/wire/messages.ts";
import { op } from "../../../src/wire/messages.ts";
import { FakeClock, rethrow } from "../../harness/clock.ts";
import { FakeConnection, FakeNativeServer } from "../../harness/native.ts";

export const app = "main";
export const identity: Identity = {
  app,
  subject: "s",
  client: null,
  grants: new Grants(allGrants),
  expiresAtMs: null,
  tokenId: "t",
  issuedAtMs: 0,
  login: null,
  ...noCredentialLimits,
};

export function keeps(pattern: string, history: HistoryRule, fields: Partial<TagRule> = {}): TagRule {
  return { ...liveOnly, pattern, history, delivery: "reliable", ...fields };
}

export const roomy: TagRule = keeps("log/#", { size: 1000 });

interface SubscribeOptions {
  readonly since?: Position | ReadonlyMap<string, Position>;
  readonly last?: number;
  readonly presence?: boolean;
}

/** Receives as a client would; asks the hub as a session would. */
export class TestSubscriber implements Subscriber, Publisher, Requester {
  readonly identity = identity;
  readonly client = "c";
  readonly replyPrefix = null;
  readonly native: FakeConnection;
  readonly frames: Frames;
  readonly generation: number;
  readonly received: (readonly unknown[])[] = [];
  slow = false;
  readonly #hub: Hub;
  #flushing = false;
  #ref = 0;

  constructor(hub: Hub, server: FakeNativeServer, lane: Lane, generation: number) {
    this.#hub = hub;
    this.generation = generation;
    this.native = new FakeConnection({
      server,
      lane,
      client: { frame: (frame) => void this.received.push(...messagesOf(frame)), closed() {} },
    });
    this.native.session = {
      receive() {},
      heard() {},
      closed: () => hub.detach(this),
      drained: () => hub.drained(this),
    };
    this.frames = createFrames(lane, this.native);
  }

  /** What came since the last call. */
  take(): (readonly unknown[])[] {
    return this.received.splice(0);
  }

  subscribe(pattern: string, { since, last, presence = false }: SubscribeOptions = {}): number {
    const ref = ++this.#ref;
    const message = { op: op.subscribe, ref, pattern, since: since ?? null, last: last ?? null, presence, info: null };
    this.#hub.subscribe(this, message, this);
    return ref;
  }

  /** Publishes the MessagePack form of `payload`; the answer comes by ref where the tag keeps a log. */
  publish(tag: string, payload: unknown, options: { echo?: boolean; id?: string } = {}): void {
    const frame = encode(payload);
    const what = { frame, payloadStart: 0, payloadEnd: frame.length, meta: null, id: options.id ?? null };
    const except = options.echo === false ? this.native : null;
    this.#hub.publish(this.#hub.tag(app, tag), { ...what, except }, this, ++this.#ref);
  }

  bufferedBytes(): number {
    return this.native.bufferedBytes();
  }

  flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#hub.flushLater(this);
  }

  flush(): void {
    this.#flushing = false;
    this.frames.flush();
  }

  unsubscribed(pattern: string, code: UnsubscribeCode): void {
    this.frames.unsubscribed(pattern, code.code, code.text);
    this.flushLater();
  }

  tooSlow(): void {
    this.slow = true;
  }

  answered(ref: number, result: ResultValue): void {
    this.frames.ok(ref, result);
    this.flushLater();
  }

  /** Acknowledgements are of no interest here. */
  appended(): void {}

  refused(ref: number, code: ErrorCode): void {
    this.frames.error(ref, code.code, code.text);
    this.flushLater();
  }
}

export interface TestHubOptions {
  readonly rules?: readonly TagRule[];
  readonly logsMax?: number;
  readonly tagsMax?: number;
  /** Puts another broker before the memory broker. */
  readonly broker?: (memory: MemoryBroker) => Broker;
}

export class TestHub {
  readonly clock = new FakeClock();
  readonly native = new FakeNativeServer();
  readonly memory: MemoryBroker;
  readonly hub: Hub;
  #generation = 0;

  constructor({ rules = [roomy], logsMax = 1000, broker = (memory) => memory, ...bounds }: TestHubOptions = {}) {
    const { clock } = this;
    const random = () => 0.5;
    this.memory = openMemoryBroker({ clock, logsMax, logsMaxBytes: 1e9, idempotencyWindowMs: 60_000 });
    const applications = new Map([[app, rules]]);
    const limits = { subscriptionsMax: 100, slowDeadlineMs: 30_000, ...bounds };
    this.hub = new Hub({ broker: broker(this.memory), clock, applications, ...limits, random, onTrouble: rethrow });
    void this.hub.start();
    this.hub.distributor.addServer(this.native);
  }

  open(lane: Lane = "msgpack"): TestSubscriber {
    return new TestSubscriber(this.hub, this.native, lane, ++this.#generation);
  }

  /** Ends this turn and those that follow from it. */
  turns(): void {
    this.clock.runAllTurns();
    this.native.tick();
  }

  advance(ms: number): void {
    this.clock.advance(ms);
    this.turns();
  }
}

/** Lets promises go on, and the turns that they ask for. */
export async function settle(hub: TestHub): Promise<void> {
  for (let i = 0; i < 10; i++) {
    for (let j = 0; j < 5; j++) await Promise.resolve();
    hub.turns();
  }
}

/** The op 18 among some messages, as tag, offset, payload. */
export function messagesIn(received: readonly (readonly unknown[])[]): unknown[] {
  return received.filter(([code]) => code === op.message).map(([, tag, offset, payload]) => [tag, offset, payload]);
}

/** The op 20 among some messages, as name, from, to, detail. */
export function gapsIn(received: readonly (readonly unknown[])[]): unknown[] {
  return received.filter(([code]) => code === op.gap).map(([, ...gap]) => gap);
}

/** Orders lists by their first element: between tags, and between subscriptions, no order is promised. */
export function sorted(entries: readonly unknown[]): unknown[] {
  const keyOf = (entry: unknown) => (entry as readonly unknown[]).slice(0, 2).join("\0");
  return entries.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function messagesOf(frame: Uint8Array | string): (readonly unknown[])[] {
  if (typeof frame === "string") return frame.split("\n").map((line) => JSON.parse(line) as readonly unknown[]);
  return [...decodeMulti(frame)] as (readonly unknown[])[];
}
