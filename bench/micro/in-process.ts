/**
 * tagcast from frame to frame in this process: real sessions, hub and memory broker on sockets that throw away what is
 * sent. What is left out is the runtime's part: reading, native fan-out, system calls.
 */
import { encode } from "@msgpack/msgpack";
import { openMemoryBroker } from "../../src/broker/memory.ts";
import { allGrants, Grants } from "../../src/core/grants.ts";
import { type Identity, noCredentialLimits } from "../../src/core/identity.ts";
import type { Logger } from "../../src/core/logger.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { NativeServer } from "../../src/hub/subscriber.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import type { Connection } from "../../src/session/connection.ts";
import type { RateOptions } from "../../src/session/rates.ts";
import { Registry } from "../../src/session/registry.ts";
import type { Session } from "../../src/session/session.ts";
import { op } from "../../src/wire/messages.ts";

const app = "main";

const identity: Identity = {
  app,
  subject: "bench",
  tokenId: "bench",
  client: null,
  grants: new Grants(allGrants, {}),
  expiresAtMs: null,
  ...noCredentialLimits,
  issuedAtMs: 0,
  login: null,
};

/** Never reached, and counted all the same: what that costs is part of what is measured. */
const rates: RateOptions = {
  messageRatePerConnection: 1e9,
  byteRatePerConnection: 1e12,
  subscribeRatePerConnection: 1e9,
  errorRatePerConnection: 1e9,
  messageRatePerToken: 1e9,
  byteRatePerToken: 1e12,
  subscribeRatePerToken: 1e9,
  errorRatePerToken: 1e9,
  acceptRatePerToken: 1e9,
  loginRatePerToken: 1e9,
  floodDeadlineMs: 30_000,
};

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export class InProcess {
  /** Frames handed to the native topics: what is measured did happen. */
  published = 0;
  readonly #registry: Registry;
  readonly #native: NativeServer = { publish: () => void this.published++ };
  readonly #turn: (() => void)[] = [];

  constructor() {
    const clock: Clock = {
      ...systemClock,
      endOfTurn: (run) => void this.#turn.push(run),
    };
    const broker = openMemoryBroker({ clock, logsMaxBytes: 64e6, logsMax: 1000, idempotencyWindowMs: 60_000 });
    const onTrouble = (error: unknown) => {
      throw error;
    };
    const hub = new Hub({
      broker,
      clock,
      applications: new Map([[app, []]]),
      subscriptionsMax: 1_000_000,
      slowDeadlineMs: 30_000,
      onTrouble,
    });
    hub.distributor.addServer(this.#native);
    const options = {
      payloadMaxBytes: 65_536,
      depthMax: 32,
      authenticationDeadlineMs: 10_000,
      pingSeconds: 25,
      server: "tagcast/bench",
      rates,
    };
    const authenticator = { authenticate: () => identity, onChange() {} };
    this.#registry = new Registry({ hub, authenticator, clock, log: silent, options });
  }

  connect(): Session {
    const connection: Connection = {
      lane: "msgpack",
      remoteAddress: "192.0.2.1",
      origin: null,
      server: this.#native,
      write() {},
      bufferedBytes: () => 0,
      joinTopic() {},
      leaveTopic() {},
      publishToOthers() {},
      cork: (run) => run(),
      pause() {},
      resume() {},
      ping() {},
      close() {},
    };
    const session = this.#registry.open(connection, null);
    this.#registry.begin(session, identity);
    return session;
  }

  subscribe(session: Session, pattern: string): void {
    session.receive(encode([op.subscribe, 0, pattern]));
    this.endTurn();
  }

  /** Does what waits for the end of a turn. */
  endTurn(): void {
    for (let run = this.#turn.shift(); run !== undefined; run = this.#turn.shift()) run();
  }
}

/** A publish as it comes from a client that does not ask for an answer. */
export function publishFrame(tag: string, payloadBytes: number): Uint8Array {
  return encode([op.publish, 0, tag, new Uint8Array(payloadBytes).fill(7)]);
}

/** Prints what was measured: one JSON object with `--json`, else a line each. */
export function printFigures(figures: Readonly<Record<string, number>>): void {
  if (process.argv.includes("--json")) console.log(JSON.stringify(figures));
  else for (const [name, value] of Object.entries(figures)) console.log(`${name}: ${value}`);
}
