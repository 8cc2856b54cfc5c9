/**
 * All sessions and event streams of this process, and what is done to them on time: deadlines, heartbeats, expiry,
 * changed credentials, and the orderly end. One sweep serves all; no session has a timer of its own.
 */
import type { Authenticator, CredentialChange } from "../core/authenticator.ts";
import type { DisconnectCode, ErrorCode } from "../core/codes.ts";
import { disconnects } from "../core/codes.ts";
import { type Identity, underLogin } from "../core/identity.ts";
import type { Logger } from "../core/logger.ts";
import type { Hub } from "../hub/hub.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { createTraffic } from "../observe/traffic.ts";
import type { ClientMessageReader, Lane, WireLimits } from "../wire/messages.ts";
import { JsonMessageReader } from "../wire/read-json.ts";
import { MsgpackMessageReader } from "../wire/read-msgpack.ts";
import type { Listener } from "./connected.ts";
import type { Connection } from "./connection.ts";
import { enter } from "./connect.ts";
import { Credentials } from "./credentials.ts";
import { Guesses } from "./guesses.ts";
import { type RateOptions, Rates } from "./rates.ts";
import { Unread } from "./unread.ts";
import { TargetPlaces } from "./targets.ts";
import { Session } from "./session.ts";

const sweepMs = 1000;
/** That publishers are held back is logged at most this often. */
const heldBackPauseMs = 10_000;
/** A connection is mute after this many heartbeat intervals without a sign of life. */
const muteIntervals = 2;
/** Sweeps after which malformed messages are forgiven. */
const sweepsPerAmnesty = 60;

/** Sessions are ended in steps: at least so many every so often. */
const drainStepMs = 50;
const sessionsPerStep = 200;
const retryWindowMaxMs = 30_000;

/** Why the runtime ended a connection for a frame, before anything of it was seen here. */
export type FrameRefusal = "too-large" | "not-utf8" | "malformed";

export interface SessionOptions extends WireLimits {
  readonly authenticationDeadlineMs: number;
  /** Heartbeat interval where the client wishes for none. */
  readonly pingSeconds: number;
  /** Name and version for the result of op 1. */
  readonly server: string;
  /** Requests of one session that wait for the broker, and bytes kept for all who do not read; absent: without a bound. */
  readonly requestsMax?: number;
  /** Bytes of one session that came while it was not read from, beside the last frame. */
  readonly heldMaxBytes?: number;
  readonly unreadMaxBytes?: number;
  readonly rates: RateOptions;
}

export interface RegistryParts {
  readonly hub: Hub;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly log: Logger;
  readonly options: SessionOptions;
  /** What slows down who guesses credentials; absent: nothing. */
  readonly guesses?: Guesses;
}

export class Registry {
  readonly hub: Hub;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly log: Logger;
  readonly options: SessionOptions;
  readonly credentials: Credentials;
  readonly counts = { opened: 0, errors: 0, mute: 0 };
  readonly traffic = createTraffic();
  readonly rates: Rates;
  readonly refusedFrames: Record<FrameRefusal, number> = { "too-large": 0, "not-utf8": 0, malformed: 0 };
  /** Requests refused, and connections ended by the server, by code. */
  readonly errorCounts: Record<number, number> = {};
  readonly endCounts: Record<number, number> = {};
  /** One reader per lane serves all sessions: a frame is read to its end before the next begins. */
  readonly readers: Readonly<Record<Lane, ClientMessageReader>>;
  /** Monotonic time as of the last sweep: what happened when, to the second, without a clock read per frame. */
  nowMs: number;
  /** What all sessions remember of tags they publish to. */
  readonly targetPlaces = new TargetPlaces();
  readonly unread: Unread;
  /** Oldest first. */
  readonly #connections = new Set<Session | Listener>();
  readonly #sweeper: Timer;
  #generation = 0;
  #sweeps = 0;
  #draining = false;
  #heldBackToldMs = -Infinity;

  constructor({ hub, authenticator, clock, log, options, guesses }: RegistryParts) {
    this.hub = hub;
    this.authenticator = authenticator;
    this.clock = clock;
    this.log = log;
    this.options = options;
    this.credentials = new Credentials(
      guesses ?? new Guesses({ clock, perMinute: 0, sourcesMax: 0, sourceOf: () => null }),
      log,
    );
    this.readers = { msgpack: new MsgpackMessageReader(options), json: new JsonMessageReader(options) };
    this.nowMs = clock.monotonicMs();
    this.rates = new Rates(options.rates, clock, log);
    this.unread = new Unread(hub, log, options.unreadMaxBytes);
    this.#sweeper = clock.every(sweepMs, () => this.sweep());
    authenticator.onChange((change) => this.#changed(change));
  }

  /** Connections of all kinds. */
  get size(): number {
    return this.#connections.size;
  }

  /** Whether whoever comes now is to come back later. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Connections of all kinds, oldest first. */
  [Symbol.iterator](): Iterator<Session | Listener> {
    return this.#connections.values();
  }

  /** Active connections of an application, oldest first. */
  *active(app: string): Iterable<Session | Listener> {
    for (const connection of this.#connections) {
      if (connection.active && connection.identity.app === app) yield connection;
    }
  }

  /** Grows with each session, and from start to start; by its last digits those of two instances differ. */
  nextGeneration(): number {
    const now = this.clock.wallMs() * 1000 + Math.floor(Math.random() * 1000);
    this.#generation = Math.max(this.#generation + 1, now);
    return this.#generation;
  }

  /** A socket opened; `begin` follows. `named`: patterns to subscribe to once the session is active. */
  open(connection: Connection, named: readonly string[] | null): Session {
    const session = new Session(this, connection, named);
    this.#connections.add(session);
    this.counts.opened++;
    return session;
  }

  /** With an identity from the upgrade the session is active at once, and op 1 optional. */
  begin(session: Session, identity: Identity | null): void {
    if (this.#draining) return session.end(disconnects.shutdown, retryAfter(this.size));
    if (identity !== null) enter(session, identity);
  }

  /** Logs that a session is active. */
  logOpened(session: Session): void {
    const { app, subject, tokenId } = session.identity;
    const from = session.native.remoteAddress;
    this.log.info("session opened", { session: session.id, client: session.client, app, subject, tokenId, from });
  }

  /** An event stream opens: until `remove` it is ended as sessions are. */
  join(listener: Listener): void {
    this.#connections.add(listener);
    this.counts.opened++;
  }

  remove(connection: Session | Listener): void {
    this.#connections.delete(connection);
  }

  /** A request was refused. */
  countError({ code }: ErrorCode): void {
    this.counts.errors++;
    this.errorCounts[code] = (this.errorCounts[code] ?? 0) + 1;
  }

  /** More is published than can be sent, and this session was among those who did. */
  noteHeldBack({ id, client, remoteAddress }: Session): void {
    if (this.nowMs - this.#heldBackToldMs < heldBackPauseMs) return;
    this.#heldBackToldMs = this.nowMs;
    const { backlogBytes } = this.hub.distributor;
    this.log.warn("publisher held back: more is published than can be sent", {
      ...{ session: id, client, from: remoteAddress },
      backlogBytes,
    });
  }

  /** A frame was not let in; its connection is over. */
  refusedFrame({ id, remoteAddress }: Session, reason: FrameRefusal): void {
    this.refusedFrames[reason]++;
    this.log.warn("connection ended by a frame that is not allowed", { session: id, reason, from: remoteAddress });
  }

  /** The server ends a connection. */
  countEnd({ code }: DisconnectCode): void {
    this.endCounts[code] = (this.endCounts[code] ?? 0) + 1;
  }

  /** Bytes of all sessions that came and are not looked at yet. */
  get heldBytes(): number {
    let bytes = 0;
    for (const connection of this.#connections) if (connection.transport === "websocket") bytes += connection.heldBytes;
    return bytes;
  }

  /** Requests of all sessions that the broker has not answered. */
  get pendingRequests(): number {
    let pending = 0;
    for (const connection of this.#connections) {
      if (connection.transport === "websocket") pending += connection.pace.pending;
    }
    return pending;
  }

  /** Called every second. */
  sweep(): void {
    const now = this.clock.monotonicMs();
    const wall = this.clock.wallMs();
    const amnesty = ++this.#sweeps % sweepsPerAmnesty === 0;
    this.nowMs = now;
    this.rates.sweep(now);
    for (const connection of this.#connections) {
      if (connection.closing) continue;
      if (connection.transport === "websocket") this.#lookAfter(connection, now, amnesty);
      if (!connection.active || connection.closing) continue;
      const { expiresAtMs } = connection.identity;
      if (expiresAtMs !== null && expiresAtMs <= wall) connection.end(disconnects.expired);
      else if (connection.transport === "websocket") this.#heartbeat(connection, now);
      else connection.heartbeat(now);
    }
    this.unread.bound(this.#connections);
  }

  #lookAfter(session: Session, now: number, amnesty: boolean): void {
    if (amnesty) session.intake.forgive();
    session.tick(now);
    if (session.closing) return;
    if (!session.active && now - session.openedAtMs >= this.options.authenticationDeadlineMs) {
      session.end(disconnects.authenticationDeadline);
    }
  }

  /** Pings who has been silent for an interval, ends who has been for two. */
  #heartbeat(session: Session, now: number): void {
    const silentMs = now - session.heardAtMs;
    const intervalMs = session.pingSeconds * 1000;
    if (silentMs >= muteIntervals * intervalMs) {
      this.counts.mute++;
      session.end(disconnects.mute);
    } else if (silentMs >= intervalMs && now - session.pingedAtMs >= intervalMs) {
      session.pingedAtMs = now;
      session.native.ping();
    }
  }

  #changed(change: CredentialChange): void {
    let lowered = false;
    for (const connection of [...this.#connections]) {
      if (!connection.identified || connection.closing) continue;
      const { identity } = connection;
      if (change.kind === "edited") {
        if (identity.app !== change.identity.app || identity.tokenId !== change.identity.tokenId) continue;
        lowered ||= (identity.connectionsMax ?? Infinity) > (change.identity.connectionsMax ?? Infinity);
        if (connection.counted) this.hub.connections.changed(identity, change.identity);
        connection.identity = identity.login === null ? change.identity : underLogin(change.identity, identity.login);
        this.hub.regrant(connection);
      } else if (isRevoked(identity, change)) connection.end(disconnects.revoked);
    }
    if (lowered && change.kind === "edited") {
      this.#trim(change.identity).catch((error: unknown) =>
        this.log.error("connections over a lowered bound stay", { error }),
      );
    }
  }

  /** Ends the newest connections of a credential that are beyond its bound. */
  async #trim(identity: Identity): Promise<void> {
    const { connections } = this.hub;
    const held = [...this.#connections].filter(
      (connection) => connection.identified && connection.counted && connections.same(connection.identity, identity),
    );
    let excess = connections.excess(identity);
    for (const connection of held.toReversed()) {
      if (connection.closing) continue;
      if (excess-- <= 0 && (await connections.recheck(identity))) return;
      connection.end(disconnects.connectionLimit);
    }
  }

  /**
   * Ends all sessions, over up to half of `withinMs` where they are many, each told to come back at a random time within
   * a window that grows with their number; then waits for those that still have something to read. `abort` ends it.
   */
  async drain(withinMs: number, abort: AbortSignal): Promise<void> {
    this.close();
    const endMs = this.clock.monotonicMs() + withinMs;
    const sessions = [...this.#connections];
    const perStep = Math.max(sessionsPerStep, Math.ceil((sessions.length * drainStepMs * 2) / withinMs));
    const count = sessions.length;
    while (sessions.length > 0) {
      for (const session of sessions.splice(0, abort.aborted ? count : perStep)) {
        session.end(disconnects.shutdown, retryAfter(count));
      }
      if (sessions.length > 0) await this.#pause(drainStepMs);
    }
    if (count === 0 || abort.aborted) return;
    do await this.#pause(drainStepMs);
    while (this.size > 0 && !abort.aborted && this.clock.monotonicMs() < endMs);
  }

  /** Ends what is done on time; whoever still comes is told to come back later. */
  close(): void {
    this.#draining = true;
    this.#sweeper.cancel();
    this.rates.close();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((done) => void this.clock.after(ms, done));
  }
}

/** Random, within a window that grows with the number of those who will come back. */
function retryAfter(sessions: number): number {
  return Math.floor(Math.random() * Math.min(retryWindowMaxMs, 500 + sessions * 2));
}

function isRevoked(identity: Identity, change: CredentialChange & { kind: "revoked" }): boolean {
  return (
    identity.app === change.app &&
    (change.tokenId === undefined || identity.tokenId === change.tokenId) &&
    (change.login === undefined || identity.login?.id === change.login) &&
    (change.subject === undefined || identity.subject === change.subject) &&
    (change.issuedBeforeMs === undefined || identity.issuedAtMs < change.issuedBeforeMs)
  );
}
