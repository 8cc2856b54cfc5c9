/** Sessions on a fake clock and fake sockets, above a real hub with the memory broker. */
import { decodeMulti, encode } from "@msgpack/msgpack";
import type { Broker } from "../../src/broker/broker.ts";
import { openMemoryBroker } from "../../src/broker/memory.ts";
import { AuthenticationError, type Authenticator, type CredentialChange } from "../../src/core/authenticator.ts";
import { errors } from "../../src/core/codes.ts";
import { allGrants, type GrantMap, Grants } from "../../src/core/grants.ts";
import { type Identity, noCredentialLimits } from "../../src/core/identity.ts";
import { Hub, type HubOptions } from "../../src/hub/hub.ts";
import type { Lane } from "../../src/wire/messages.ts";
import type { TagRule } from "../../src/core/tag-rule.ts";
import type { RateOptions } from "../../src/session/rates.ts";
import { Registry, type SessionOptions } from "../../src/session/registry.ts";
import type { Session } from "../../src/session/session.ts";
import { FakeClock, rethrow } from "./clock.ts";
import { FakeConnection, FakeNativeServer } from "./native.ts";
import { KeptLog } from "./server.ts";
import type { WireMessage } from "./wire-client.ts";

const app = "main";

/** Everything as fast as anybody likes. */
export const noRates: RateOptions = {
  messageRatePerConnection: 0,
  byteRatePerConnection: 0,
  subscribeRatePerConnection: 0,
  errorRatePerConnection: 0,
  messageRatePerToken: 0,
  byteRatePerToken: 0,
  subscribeRatePerToken: 0,
  errorRatePerToken: 0,
  acceptRatePerToken: 0,
  loginRatePerToken: 0,
  floodDeadlineMs: 0,
};

export interface IdentityParts {
  readonly subject?: string;
  readonly tokenId?: string;
  readonly client?: string | null;
  readonly grants?: GrantMap;
  readonly deny?: GrantMap;
  readonly expiresAtMs?: number | null;
  readonly connectionsMax?: number | null;
  readonly messagesPerSecond?: number | null;
  readonly bytesPerSecond?: number | null;
}

export function identityOf({
  subject = "ann",
  tokenId = "t1",
  client = null,
  grants = allGrants,
  deny = {},
  expiresAtMs = null,
  ...limits
}: IdentityParts = {}): Identity {
  return {
    app,
    subject,
    tokenId,
    client,
    grants: new Grants(grants, deny),
    expiresAtMs,
    issuedAtMs: 0,
    login: null,
    ...noCredentialLimits,
    ...limits,
  };
}

/** Knows the tokens it was told of; those in `late` are answered when `settle` is called. */
export class TestAuthenticator implements Authenticator {
  readonly known = new Map<string, Identity | AuthenticationError>();
  readonly late = new Set<string>();
  #listener: (change: CredentialChange) => void = () => {};
  #waiting: (() => void)[] = [];

  authenticate(credential: string): Identity | Promise<Identity> {
    const answer = this.known.get(credential) ?? new AuthenticationError(errors.invalidToken);
    if (!this.late.has(credential)) {
      if (answer instanceof AuthenticationError) throw answer;
      return answer;
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => (answer instanceof AuthenticationError ? reject(answer) : resolve(answer)));
    });
  }

  /** Answers what was asked for late, and lets who waits for it go on. */
  async settle(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const answer of waiting) answer();
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }

  onChange(listener: (change: CredentialChange) => void): void {
    this.#listener = listener;
  }

  change(change: CredentialChange): void {
    this.#listener(change);
  }
}

/** A client that reads everything and, unless `mute`, answers pings. */
export class Peer {
  readonly received: WireMessage[] = [];
  readonly connection: FakeConnection;
  session!: Session;
  closeCode: number | null = null;
  pings = 0;
  mute = false;
  readonly #sessions: Sessions;

  constructor(sessions: Sessions, lane: Lane) {
    this.#sessions = sessions;
    const connection = new FakeConnection({
      server: sessions.native,
      lane,
      client: {
        frame: (frame) => this.received.push(...messagesOf(frame)),
        closed: (code) => {
          this.closeCode = code;
        },
      },
    });
    connection.ping = () => {
      this.pings++;
      if (!this.mute) this.session.heard();
    };
    this.connection = connection;
  }

  /** Sends messages in one frame and ends the turn; what came for it since the last call. */
  send(...messages: readonly WireMessage[]): readonly WireMessage[] {
    const frame =
      this.connection.lane === "json"
        ? messages.map((message) => JSON.stringify(message)).join("\n")
        : Buffer.concat(messages.map((message) => encode(message)));
    return this.sendFrame(frame);
  }

  sendFrame(frame: Uint8Array | string): readonly WireMessage[] {
    this.connection.send(frame);
    return this.take();
  }

  /** Ends the turn; what came since the last call. */
  take(): readonly WireMessage[] {
    this.#sessions.turn();
    return this.received.splice(0);
  }
}

function messagesOf(frame: Uint8Array | string): WireMessage[] {
  if (typeof frame === "string") return frame.split("\n").map((line) => JSON.parse(line) as WireMessage);
  return [...decodeMulti(frame)] as WireMessage[];
}

export interface SessionsOptions extends Partial<SessionOptions> {
  readonly rules?: readonly TagRule[];
  /** Puts another broker before the memory broker. */
  readonly broker?: (memory: Broker) => Broker;
  readonly limits?: Pick<HubOptions, "backlogMaxBytes">;
}

export class Sessions {
  readonly clock = new FakeClock();
  readonly log = new KeptLog();
  readonly authenticator = new TestAuthenticator();
  readonly native = new FakeNativeServer();
  readonly hub: Hub;
  readonly registry: Registry;

  constructor(options: SessionsOptions = {}) {
    const { rules = [], broker: wrap = (memory) => memory, limits = {}, ...wished } = options;
    const { clock, log, authenticator } = this;
    const broker = wrap(openMemoryBroker({ clock, logsMaxBytes: 1e8, logsMax: 1000, idempotencyWindowMs: 60_000 }));
    const applications = new Map([[app, rules]]);
    this.hub = new Hub({
      ...limits,
      broker,
      clock,
      applications,
      subscriptionsMax: 100,
      slowDeadlineMs: 30_000,
      onTrouble: rethrow,
    });
    void this.hub.start();
    this.hub.distributor.addServer(this.native);
    const defaults = {
      payloadMaxBytes: 1e6,
      depthMax: 32,
      authenticationDeadlineMs: 10_000,
      pingSeconds: 25,
      server: "tagcast/test",
      rates: noRates,
    };
    this.registry = new Registry({ hub: this.hub, authenticator, clock, log, options: { ...defaults, ...wished } });
  }

  /** A new socket. `identity`: from the upgrade; `named`: patterns named there. */
  open({ lane = "msgpack", identity = null, named = null }: OpenOptions = {}): Peer {
    const peer = new Peer(this, lane);
    const session = this.registry.open(peer.connection, named);
    peer.session = session;
    peer.connection.session = {
      receive: (frame) => session.receive(frame),
      drained: () => session.drained(),
      heard: () => session.heard(),
      closed: (code) => session.closed(code),
    };
    this.registry.begin(session, identity);
    return peer;
  }

  /** Ends the turn. */
  turn(): void {
    this.clock.runAllTurns();
    this.native.tick();
    this.clock.runAllTurns();
  }

  advance(ms: number): void {
    this.clock.advance(ms);
    this.turn();
  }
}

export interface OpenOptions {
  readonly lane?: Lane;
  readonly identity?: Identity | null;
  readonly named?: readonly string[] | null;
}
