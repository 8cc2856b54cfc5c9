/**
 * How much of what one client asks for is done now: in one turn so much, and no more while the socket has not taken the
 * answers, while the broker has not given them, while more is published than can be sent, or while it is too fast (`Speed`).
 * Meanwhile it is not read from.
 */
import type { PublisherPace } from "../hub/subscriber.ts";
import { softMarkBytes } from "../hub/sink.ts";
import type { Session } from "./session.ts";

/**
 * What the requests of one client may cost in one turn, in units of some 0.1 ms at worst (`costOf`). Publishes are bounded
 * by their bytes, and by how many topics they go to.
 */
const turnBudget = 64;
/** Topics that messages can be delivered to at the cost of one unit. */
const topicsPerUnit = 256;

export class Pace implements PublisherPace {
  readonly #session: Session;
  /** What this turn's requests cost so far, and whether the rest waits. */
  #spent = 0;
  #waiting = false;
  /** Requests that the broker has not answered. */
  #pending = 0;
  #heldBack = false;
  #slowed = false;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Requests that the broker has not answered. */
  get pending(): number {
    return this.#pending;
  }

  /** Whether what the client asks beyond this waits for a later turn. */
  get exhausted(): boolean {
    return this.#spent >= turnBudget;
  }

  spend(cost: number): void {
    this.#spent += cost;
    this.#session.flushLater();
  }

  /** A message goes to so many topics. */
  charge(topics: number): void {
    this.spend(topics / topicsPerUnit);
  }

  turnOver(): void {
    this.#spent = 0;
  }

  /** A request goes to the broker. */
  asked(): void {
    if (++this.#pending >= this.#requestsMax) this.spend(turnBudget);
  }

  /** It was answered. */
  settled(): void {
    this.#pending--;
    if (this.#waiting) this.#goOn();
  }

  /** It is to publish no more until `relieved`. */
  holdBack(): void {
    this.#heldBack = true;
    this.spend(turnBudget);
    this.#session.registry.noteHeldBack(this.#session);
  }

  relieved(): void {
    this.#heldBack = false;
    if (this.#waiting) this.#goOn();
  }

  /** It is held, and goes on no more until `inTime`: its client is too fast. */
  slow(): void {
    this.#slowed = true;
    this.#waiting = true;
  }

  inTime(): void {
    this.#slowed = false;
    if (this.#waiting) this.#goOn();
  }

  /** The socket took something, or may have. */
  drained(): void {
    if (this.#waiting) this.#goOn();
  }

  /** This turn has done enough for one client: what it asks beyond that waits, and nothing more is read from it. */
  yield(): void {
    this.#session.hold();
    this.#session.registry.clock.endOfTurn(() => this.#goOn());
  }

  /** The next turn has come: goes on, unless there is something to wait for. */
  #goOn(): void {
    const session = this.#session;
    if (session.closing) return;
    const isHeld = this.#heldBack || this.#slowed || this.#pending >= this.#requestsMax;
    this.#waiting = isHeld || session.bufferedBytes() > softMarkBytes;
    if (!this.#waiting) session.release();
  }

  get #requestsMax(): number {
    return this.#session.registry.options.requestsMax ?? Infinity;
  }
}
