/**
 * One client's conversation: its state, its identity, and the way of each answer back. Knows no socket type. The way of each
 * frame in stands in `intake.ts`, what the single operations do in `requests.ts`, how a client gets in, in `connect.ts`.
 */
import type { DisconnectCode, ErrorCode, UnsubscribeCode } from "../core/codes.ts";
import { disconnects } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import { assert } from "../lib/assert.ts";
import type { Deliveries, Publisher, Requester } from "../hub/subscriber.ts";
import type { Flow } from "../observe/traffic.ts";
import type { Frames } from "../wire/frames.ts";
import { createFrames } from "../wire/frames.ts";
import type { Lane, ResultValue } from "../wire/messages.ts";
import type { Aliases } from "./aliases.ts";
import type { Connected } from "./connected.ts";
import type { Connection } from "./connection.ts";
import { Intake } from "./intake.ts";
import type { Registry } from "./registry.ts";
import { MutedErrors } from "./muted-errors.ts";
import { Pace } from "./pace.ts";
import { Speed } from "./speed.ts";
import type { SessionState } from "./state.ts";
import { transition } from "./state.ts";
import { Targets } from "./targets.ts";

export class Session implements Connected, Publisher, Requester {
  readonly transport = "websocket";
  readonly registry: Registry;
  readonly native: Connection;
  readonly lane: Lane;
  readonly frames: Frames;
  readonly traffic: Flow;
  readonly generation: number;
  state: SessionState = "connecting";
  /** Unguessable, and grants nothing: for logs and administrators. */
  readonly id: string = crypto.randomUUID();
  client = "";
  echo = true;
  /** What stands for tags; null: op 1 did not ask for it. */
  aliases: Aliases | null = null;
  /** Whether op 1 was answered. */
  welcomed = false;
  /** Whether it counts towards the bound of its credential. */
  counted = false;
  /** Whether the socket is gone. */
  gone = false;
  pingSeconds: number;
  /** Registry time at which something last arrived, and at which a ping was last sent. */
  heardAtMs: number;
  pingedAtMs = 0;
  /** Monotonic, exact: deadlines may be shorter than the sweep. */
  readonly openedAtMs: number;
  #identity: Identity | null = null;
  #replyPrefix: string | null = null;
  #targets: Targets | null = null;
  /** Patterns named at the upgrade, until they are subscribed to. */
  #named: readonly string[] | null;
  #flushing = false;
  /** Errors for ref 0 since the last sweep. */
  #muted: MutedErrors | null = null;
  readonly intake: Intake;
  readonly pace: Pace;
  readonly speed: Speed;

  constructor(registry: Registry, connection: Connection, named: readonly string[] | null) {
    this.#named = named;
    this.registry = registry;
    this.native = connection;
    this.lane = connection.lane;
    this.frames = createFrames(connection.lane, connection);
    this.traffic = registry.traffic.websocket[connection.lane];
    this.intake = new Intake(this);
    this.pace = new Pace(this);
    this.speed = new Speed(this);
    this.generation = registry.nextGeneration();
    this.pingSeconds = registry.options.pingSeconds;
    this.heardAtMs = registry.nowMs;
    this.openedAtMs = registry.clock.monotonicMs();
  }

  get active(): boolean {
    return this.state === "active";
  }

  get closing(): boolean {
    return this.state === "closing";
  }

  get remoteAddress(): string {
    return this.native.remoteAddress;
  }

  get origin(): string | null {
    return this.native.origin;
  }

  get identity(): Identity {
    assert(this.#identity !== null, "the identity of a session that has none is asked for");
    return this.#identity;
  }

  set identity(identity: Identity) {
    this.#identity = identity;
    this.#forgetTargets();
    this.speed.identify(identity);
  }

  get identified(): boolean {
    return this.#identity !== null;
  }

  get targets(): Targets {
    this.#targets ??= new Targets(this.registry.hub, this.registry.targetPlaces);
    return this.#targets;
  }

  #forgetTargets(): void {
    this.#targets?.close();
    this.#targets = null;
    this.aliases?.forgetTargets();
  }

  get replyPrefix(): string | null {
    return this.#replyPrefix;
  }

  /** The private reply tags of this session, made when first asked for. */
  makeReplyPrefix(): string {
    this.#replyPrefix ??= `$reply/${Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex")}`;
    return this.#replyPrefix;
  }

  deliveriesOf(pattern: string): Deliveries | undefined {
    return this.aliases?.deliveriesOf(pattern, this.frames);
  }

  takeNamed(): readonly string[] {
    const named = this.#named ?? [];
    this.#named = null;
    return named;
  }

  move(to: SessionState): void {
    this.state = transition(this.state, to);
  }

  /** A sign of life other than a frame. */
  heard(): void {
    this.heardAtMs = this.registry.nowMs;
  }

  /** A ping or a pong arrived; the runtime has answered it. */
  pinged(): void {
    this.heard();
    this.intake.pinged();
  }

  /** A frame arrived. Never throws on what it holds. */
  receive(frame: Uint8Array | string): void {
    const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
    this.heardAtMs = this.registry.nowMs;
    this.traffic.bytesIn += bytes;
    this.speed.bytes -= bytes;
    this.intake.take(frame);
  }

  /** The socket took what was buffered. */
  drained(): void {
    this.registry.hub.drained(this);
    this.pace.drained();
  }

  /** Keeps what arrives until `release`, and asks the client to send no more for now. */
  hold(): void {
    this.intake.hold();
  }

  /** Bytes that came and are not looked at yet. */
  get heldBytes(): number {
    return this.intake.heldBytes;
  }

  /** Handles what was kept. */
  release(): void {
    this.intake.release();
  }

  answered(ref: number, result: ResultValue): void {
    if (ref === 0 || this.state === "closing") return;
    this.frames.ok(ref, result);
    this.flushLater();
  }

  /** Op 16 with an empty map. */
  done(ref: number): void {
    if (ref === 0) return;
    this.frames.done(ref);
    this.flushLater();
  }

  appended(ref: number, epoch: number, offset: number, repeated: boolean): void {
    if (ref === 0 || this.state === "closing") return;
    this.frames.appended(ref, epoch, offset, repeated);
    this.flushLater();
  }

  refused(ref: number, code: ErrorCode, text: string = code.text): void {
    if (this.state === "closing") return;
    this.registry.countError(code);
    // What trying again can help is not the client's fault.
    if (!code.retry) this.speed.spend("errors");
    if (ref === 0 && !(this.#muted ??= new MutedErrors()).isFirst(code)) return;
    this.frames.error(ref, code.code, text);
    this.flushLater();
  }

  /** Tells the client something about itself, in answer to nothing. */
  notice(code: ErrorCode, text: string): void {
    this.frames.error(0, code.code, text);
    this.flushLater();
  }

  /** Called every second, with monotonic time. */
  tick(nowMs: number): void {
    this.pace.drained();
    this.speed.tick(nowMs);
    if (this.#muted === null || this.closing) return;
    this.#muted.tell(this.frames);
    this.#muted = null;
    this.flushLater();
  }

  unsubscribed(pattern: string, code: UnsubscribeCode): void {
    this.frames.unsubscribed(pattern, code.code, code.text);
    this.flushLater();
  }

  bufferedBytes(): number {
    return this.native.bufferedBytes();
  }

  flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.registry.hub.flushLater(this);
  }

  flush(): void {
    this.#flushing = false;
    this.pace.turnOver();
    if (this.state !== "closing") this.frames.flush();
  }

  tooSlow(): void {
    this.end(disconnects.slow);
  }

  /** Something went wrong here, outside the handling of a message. */
  broken(error: unknown): void {
    this.registry.log.error("session failed", { session: this.id, error });
    this.end(disconnects.internal);
  }

  /** Says why (op 22), then closes. The client's subscriptions end now. */
  end(code: DisconnectCode, retryAfterMs = 0): void {
    if (this.state === "closing") return;
    const { log, hub } = this.registry;
    log.info("session ended", {
      session: this.id,
      code: code.code,
      reason: code.name,
      from: this.native.remoteAddress,
    });
    this.registry.countEnd(code);
    hub.detach(this);
    this.move("closing");
    this.frames.disconnect(code.code, code.text, retryAfterMs);
    this.frames.flush();
    this.native.close(code.code, code.text);
  }

  /** The socket is gone. `code` is that of its close frame, 1006 without one. */
  closed(code: number): void {
    if (this.state !== "closing") {
      this.move("closing");
      if (this.identified) this.registry.log.info("session closed", { session: this.id, client: this.client, code });
    }
    this.intake.close();
    this.speed.close();
    this.#forgetTargets();
    this.registry.remove(this);
    this.gone = true;
    if (this.counted) this.registry.hub.connections.release(this.identity);
    this.registry.hub.detach(this);
  }
}
