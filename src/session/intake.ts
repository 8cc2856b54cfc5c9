/**
 * The way of frames into a session: message by message, as fast as its `Pace` and its `Speed` allow; what may not be handled
 * yet is held, and nothing more is read from the socket.
 */
import { disconnects, errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { ClientMessageReader } from "../wire/messages.ts";
import { op } from "../wire/messages.ts";
import { HeldFrames } from "./held-frames.ts";
import { costOf, request } from "./requests.ts";
import type { Session } from "./session.ts";

type Frame = Uint8Array | string;

/** A frame without a message. */
const nothing = { msgpack: new Uint8Array(0), json: "" } as const;
const errorCost = 1;
/** Malformed messages within a minute that end the session. */
const strikesMax = 3;

export class Intake {
  readonly #session: Session;
  /** Frames that came while a credential was being checked, or that are more than may be handled now. */
  #held: HeldFrames | null = null;
  #strikes = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Never throws on what the frame holds. */
  take(frame: Frame): void {
    const session = this.#session;
    if (session.state === "closing") return;
    if (this.#held !== null) {
      if (!this.#held.take(frame, session.registry.options.heldMaxBytes)) session.end(disconnects.overloaded);
      return;
    }
    if ((typeof frame === "string") !== (session.lane === "json")) return session.end(disconnects.wrongFrameType);
    this.#read(session.registry.readers[session.lane], frame);
  }

  /** A ping or a pong: it counts as a frame without a message does, and there is nothing of it to keep. */
  pinged(): void {
    const { lane, speed } = this.#session;
    if (this.#held === null) this.take(nothing[lane]);
    else speed.messages--;
  }

  #read(reader: ClientMessageReader, frame: Frame): void {
    const session = this.#session;
    const { speed } = session;
    if ((speed.messages <= 0 || speed.bytes < 0) && !speed.renew()) return this.#slow(frame);
    const allowed = speed.messages;
    reader.load(frame);
    let count = 0;
    for (;;) {
      let ref = -1;
      try {
        const message = reader.next();
        if (message === null) break;
        count++;
        ref = message.ref;
        if (message.op !== op.publish) session.pace.spend(costOf(message));
        request(session, message);
      } catch (error) {
        if (!this.#failed(error, ref, reader)) break;
      }
      if (session.state === "closing") return;
      if (this.#held === null && !session.pace.exhausted && count < allowed) continue;
      speed.messages -= count;
      return this.#leave(reader.rest());
    }
    // A frame without a message is work, too.
    speed.messages -= count === 0 ? 1 : count;
  }

  /** The rest of a frame is not for now, unless it was only a lease that ended. */
  #leave(rest: Frame | null): void {
    const session = this.#session;
    if (this.#held === null && session.pace.exhausted) session.pace.yield();
    if (rest === null) return;
    if (this.#held === null) this.#read(session.registry.readers[session.lane], rest);
    else this.#held.push(rest);
  }

  /** The client is too fast. */
  #slow(frame: Frame): void {
    this.hold();
    this.#held?.push(frame);
    this.#session.speed.slow();
  }

  /** Answers what went wrong with a message; false where the rest of its frame is not to be read. */
  #failed(error: unknown, ref: number, reader: ClientMessageReader): boolean {
    const session = this.#session;
    session.pace.spend(errorCost);
    if (!(error instanceof ProtocolError)) {
      session.registry.log.error("request failed", { session: session.id, error });
      if (ref >= 0) session.refused(ref, errors.internal);
      // A reader that failed on its own account may not have moved on.
      return ref >= 0;
    }
    if (ref >= 0) {
      session.refused(ref, error.code, error.message);
      return true;
    }
    session.refused(reader.failedRef, error.code, error.message);
    if (error.hostile) session.end(disconnects.malformed);
    else if (error.code === errors.malformed && ++this.#strikes >= strikesMax) session.end(disconnects.malformed);
    return reader.recoverable;
  }

  /** Malformed messages are forgiven. */
  forgive(): void {
    this.#strikes = 0;
  }

  /** Keeps what arrives until `release`, and asks the client to send no more for now. */
  hold(): void {
    this.#held = new HeldFrames();
    this.#session.native.pause();
  }

  /** Handles what was kept. */
  release(): void {
    const held = this.#held ?? new HeldFrames();
    this.#held = null;
    if (this.#session.state === "closing") return;
    this.#session.native.resume();
    for (let next = held.shift(); next !== undefined; next = held.shift()) {
      this.take(next);
      if (this.#held === null) continue;
      return (this.#held as HeldFrames).append(held);
    }
  }

  /** Bytes that came and are not looked at yet. */
  get heldBytes(): number {
    return this.#held?.bytes ?? 0;
  }

  close(): void {
    this.#held = null;
  }
}
