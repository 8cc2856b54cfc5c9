/**
 * One process of the server on a fake clock, with a memory broker and reference clients around it. Nothing here decides
 * by chance except what the broker's feed does.
 */
import { encode } from "@msgpack/msgpack";
import type { Answer, Broker, Page } from "../../../src/broker/broker.ts";
import { openMemoryBroker } from "../../../src/broker/memory.ts";
import type { Authenticator, CredentialChange } from "../../../src/core/authenticator.ts";
import { allGrants, type GrantMap, Grants } from "../../../src/core/grants.ts";
import { type Identity, noCredentialLimits } from "../../../src/core/identity.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import type { Recovery } from "../../../src/core/recovery.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { Registry } from "../../../src/session/registry.ts";
import { noRates } from "../../harness/sessions.ts";
import { FakeClock, rethrow } from "../../harness/clock.ts";
import { type Faults, LaggingBroker } from "../../harness/lagging-broker.ts";
import { type ClientEvents, FakeConnection, FakeNativeServer } from "../../harness/native.ts";
import type { Random } from "../../harness/random.ts";
import { ModelClient } from "./client.ts";
import { liveTags, loggedTags, type Plan, rules } from "./plan.ts";
import { app, payloadNumber, RecordingBroker, Truth } from "./truth.ts";
import { promise } from "./violation.ts";

const payloadMaxBytes = 1024 * 1024;
const faults: Faults = { idle: 0.1, drop: 0, repeat: 0.12 };
const losses: Faults = { ...faults, drop: 0.08, overtake: 0.05 };
/** Within so much time, in steps, the logs are compared with the broker. */
const comparedWithinMs = 40_000;
const comparedStepMs = 8000;
/** Number of the connection by which others publish. */
const elsewhere = -1;
/** Rounds in which everything must have come to rest, each time that the clock goes on; and how often it does. */
const roundsMax = 300;
const sweeps = 5;

/** Mostly says yes at once, sometimes later. */
class StubAuthenticator implements Authenticator {
  readonly #random: Random;
  readonly #late: boolean;
  readonly #deny = new Map<string, GrantMap>();
  #listener: (change: CredentialChange) => void = () => {};

  constructor(random: Random, late: boolean) {
    this.#random = random;
    this.#late = late;
  }

  authenticate(name: string): Identity | Promise<Identity> {
    const identity = this.identity(name);
    return this.#late && this.#random.chance(0.5) ? Promise.resolve(identity) : identity;
  }

  onChange(listener: (change: CredentialChange) => void): void {
    this.#listener = listener;
  }

  identity(name: string): Identity {
    const grants = new Grants(allGrants, this.#deny.get(name) ?? {});
    const none = { client: null, expiresAtMs: null, issuedAtMs: 0, login: null, ...noCredentialLimits };
    return { app, subject: name, tokenId: name, grants, ...none };
  }

  /** The client may no longer subscribe to what `pattern` covers; null: it may again. */
  edit(name: string, pattern: string | null): void {
    this.#deny.set(name, pattern === null ? {} : { [pattern]: ["subscribe"] });
    this.#listener({ kind: "edited", identity: this.identity(name) });
  }
}

export class World {
  readonly clock = new FakeClock();
  readonly native = new FakeNativeServer(payloadMaxBytes);
  readonly clients: ModelClient[] = [];
  readonly truth: Truth;
  readonly hub: Hub;
  readonly registry: Registry;
  readonly authenticator: StubAuthenticator;
  /** Whether anything waits for promises. */
  readonly async: boolean;
  readonly #random: Random;
  readonly #recording: RecordingBroker;
  readonly #lagging: LaggingBroker | null;
  readonly #faults: Faults;
  #failures: number;
  #connections = 0;
  #broken: Error | null = null;

  constructor(plan: Plan, random: Random, recovery: Recovery | null) {
    const { clock } = this;
    const memory = openMemoryBroker({ ...plan, clock });
    this.#random = random;
    this.#faults = plan.lossy ? losses : faults;
    this.#failures = plan.failures;
    this.async = plan.feed !== "prompt";
    this.truth = new Truth(rules, memory);
    const recording = new RecordingBroker(memory, this.truth);
    this.#recording = recording;
    this.#lagging = plan.feed === "prompt" ? null : new LaggingBroker(recording, { lateAnswers: plan.feed === "late" });
    const broker = this.#lagging === null ? recording : this.#failing(this.#lagging);
    const options = {
      broker,
      clock,
      applications: new Map([[app, rules]]),
      subscriptionsMax: 100,
      slowDeadlineMs: 30_000,
      tagsMax: plan.tagsMax,
      random: () => random.next(),
      onTrouble: rethrow,
    };
    this.hub = new Hub(recovery === null ? options : { ...options, recovery });
    void this.hub.start();
    this.#listen();
    this.hub.distributor.addServer(this.native);
    this.authenticator = new StubAuthenticator(random, plan.feed === "late");
    this.registry = new Registry({
      hub: this.hub,
      authenticator: this.authenticator,
      clock,
      log: silentLogger,
      options: {
        ...{ payloadMaxBytes, depthMax: 32, authenticationDeadlineMs: 5000, pingSeconds: 25, server: "tagcast/0" },
        rates: noRates,
      },
    });
    for (let i = 0; i < plan.clients; i++) this.addClient(`c${i}`);
  }

  addClient(name: string): ModelClient {
    const client = new ModelClient(name, this.truth, this.#random);
    this.clients.push(client);
    return client;
  }

  /** Opens a socket. `upgrade`: the credential comes with it, and op 1 is not sent. */
  connect(client: ModelClient, lane: "msgpack" | "json", upgrade: boolean): FakeConnection {
    const connection = new FakeConnection({ server: this.native, lane, client: this.#watched(client) });
    connection.readAhead = this.#random.int(4);
    const session = this.registry.open(connection, null);
    connection.session = {
      receive: (frame) => session.receive(frame),
      drained: () => session.drained(),
      heard: () => session.heard(),
      closed: (code) => session.closed(code),
    };
    client.echo = true;
    client.opened(connection, this.#connections++);
    this.registry.begin(session, upgrade ? this.authenticator.identity(client.name) : null);
    return connection;
  }

  /** The end of an event-loop turn. */
  turn(): void {
    this.clock.runTurn();
    this.native.tick();
  }

  /** Lets the feed go on, as chance will have it. */
  feed(): void {
    this.#lagging?.step(this.#random, this.#faults);
  }

  /** Another instance publishes; its live-only messages come here at once, unless the broker is away. */
  publishElsewhere(tag: string): number {
    const { truth } = this;
    const number = truth.publish(elsewhere, true, false);
    const bytes = encode(number).slice();
    const body = { bytes, payloadLength: bytes.length };
    const draft = { body, key: null, except: null };
    if (truth.keepsLog(tag)) {
      this.#recording.append([{ app, tag, rule: truth.rule(tag), drafts: [draft] }]);
    } else if (this.#lagging?.away === false) {
      truth.took(tag, number);
      this.#lagging.tellRelayed({ app, tag, body });
    }
    return number;
  }

  /** The broker goes away, or comes back: what its feed had still to tell by then is lost, and the hub is told so. */
  toggleOutage(): string {
    const broker = this.#lagging;
    if (broker === null) return "stays";
    broker.away = !broker.away;
    if (broker.away) return "goes away";
    broker.dropAll();
    const relayed = this.#random.chance(0.5);
    if (relayed) this.truth.outages++;
    broker.resync({ relayed });
    return `comes back, relayed ${relayed}`;
  }

  /** Lets so much time pass that what the feed lost is found. */
  async compare(): Promise<void> {
    for (let ms = 0; ms < comparedWithinMs; ms += comparedStepMs) {
      this.clock.advance(comparedStepMs);
      await this.rest();
    }
  }

  /** Lets promises go on; costs nothing where there are none. @throws what a client found wrong meanwhile */
  async promises(): Promise<void> {
    if (this.async) for (let i = 0; i < 10; i++) await Promise.resolve();
    if (this.#broken !== null) throw this.#broken;
  }

  /** Everybody reads, nothing fails or is held back, until nothing happens any more. */
  async rest(): Promise<void> {
    this.#failures = 0;
    if (this.#lagging?.away === true) this.toggleOutage();
    for (let i = 0; i < sweeps; i++) {
      // Slow sockets are looked at, and failed reads repeated, by the clock.
      this.clock.advance(300);
      for (let busy = true, rounds = 0; busy; rounds++) {
        promise(rounds < roundsMax, () => "the server does not come to rest");
        for (const { connection } of this.clients) if (connection?.reading === false) connection.read();
        const released = this.#lagging?.release() ?? 0;
        await this.promises();
        busy = released + this.clock.runTurn() + (this.#lagging?.held ?? 0) > 0;
        this.native.tick();
      }
    }
  }

  /** A last message on every tag: what the feed lost at the end is missed by then. */
  publishLast(): void {
    const closer = this.addClient("closer");
    this.connect(closer, "msgpack", true);
    for (const tag of [...loggedTags, ...liveTags]) closer.publish([tag], {}, (number) => number);
  }

  check(): void {
    for (const client of this.clients) {
      promise(client.unanswered.length === 0, () => `${client.name} was never answered: ${client.unanswered}`);
      for (const subscription of client.subscriptions.values()) {
        promise(subscription.state === "active", () => `${subscription.pattern} is ${subscription.state} in the end`);
        try {
          subscription.checkComplete();
        } catch (error) {
          if (error instanceof Error) error.message = `${client.name}, ${subscription.pattern}: ${error.message}`;
          throw error;
        }
      }
    }
  }

  /** A client reads while the server writes: what it finds wrong is kept until the server is done. */
  #watched(client: ModelClient): ClientEvents {
    const guarded = (read: () => void) => {
      try {
        read();
      } catch (error) {
        this.#broken ??= error instanceof Error ? error : new Error(String(error));
      }
    };
    return { frame: (frame) => guarded(() => client.frame(frame)), closed: () => guarded(() => client.closed()) };
  }

  /** Notes the order in which the hub takes live-only messages: what is published reaches it by one way. */
  #listen(): void {
    const { hub, truth } = this;
    const publish = hub.publish.bind(hub);
    hub.publish = (state, what, publisher, ref) => {
      if (!truth.keepsLog(state.tag)) truth.took(state.tag, payloadNumber(what.frame, what.payloadStart));
      return publish(state, what, publisher, ref);
    };
  }

  /** Reads and subscribes that fail by chance, after a while. */
  #failing(broker: Broker): Broker {
    const maybe = <T>(answer: Answer<T>): Answer<T> => {
      if (!(answer instanceof Promise) || !this.#random.chance(this.#failures)) return answer;
      return answer.then(() => Promise.reject(new Error("the broker is away")));
    };
    return new Proxy(broker, {
      get(target, name) {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== "function") return member;
        const call = (...given: unknown[]) => (member as (...given: unknown[]) => Answer<Page>).apply(target, given);
        const fails = name === "history" || name === "logs" || name === "subscribe";
        return fails ? (...given: unknown[]) => maybe(call(...given)) : call;
      },
    });
  }
}
