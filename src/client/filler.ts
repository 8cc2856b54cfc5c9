/**
 * Reads logs that a resubscription through wildcards did not recover by itself, page by page. Live messages of such a
 * tag wait until its log has been read up to them, so that the application sees each tag in order.
 */
import { errors } from "../core/codes.ts";
import type { Position } from "../core/position.ts";
import type { Backoff } from "../lib/backoff.ts";
import { asError, type TagcastError } from "./errors.ts";
import type { Positions } from "./positions.ts";
import type { Hole } from "./settle-subscribe.ts";
import { pause, type Timers } from "./timers.ts";
import type { HistoryPage, Message } from "./types.ts";

/** Logs read at the same time. */
const workersMax = 4;
/** Live messages that wait for one log; older ones are read from the log instead. */
const heldMax = 256;
const pageLimit = 1000;

export interface FillerOptions {
  readonly positions: Positions;
  readonly timers: Timers;
  readonly backoff: Backoff;
  readonly read: (tag: string, since: Position, limit: number) => Promise<HistoryPage>;
  readonly deliver: (message: Message) => void;
  /** Resolves when the application takes more. */
  readonly room: () => Promise<void>;
}

interface Fill extends Hole {
  /** Live messages since the last read began; null: reading has not begun, the log will have them. */
  held: Message[] | null;
  /** Some that came since are not in `held`. */
  dropped: boolean;
  /** The server told a gap since: what it means for the position is known after another read. */
  again: boolean;
}

export class Filler {
  readonly #options: FillerOptions;
  readonly #fills = new Map<string, Fill>();
  #stopped = false;

  constructor(options: FillerOptions) {
    this.#options = options;
  }

  start(holes: readonly Hole[]): void {
    for (const hole of holes) this.#fills.set(hole.tag, { ...hole, held: null, dropped: false, again: false });
    const waiting = [...this.#fills.values()];
    const work = async () => {
      for (let fill = waiting.shift(); fill && !this.#stopped; fill = waiting.shift()) await this.#fill(fill);
    };
    for (let i = 0; i < workersMax; i++) void work();
  }

  /** Whether a live message has to wait for the log of its tag; it is delivered then. */
  holds(message: Message): boolean {
    const fill = this.#fills.get(message.tag);
    if (fill === undefined) return false;
    fill.held?.push(message);
    if (fill.held && fill.held.length > heldMax) {
      fill.held.shift();
      fill.dropped = true;
    }
    return true;
  }

  /** A gap of the tag was told: whether its log is being read, and so once more. The gap must not move the position then. */
  readsAgain(tag: string): boolean {
    const fill = this.#fills.get(tag);
    if (fill) fill.again = true;
    return fill !== undefined;
  }

  /** Nothing is delivered any more: the positions say what is missing. */
  stop(): void {
    this.#stopped = true;
    this.#fills.clear();
  }

  async #fill(fill: Fill): Promise<void> {
    const { positions, room } = this.#options;
    fill.held = [];
    while (!this.#stopped) {
      const since = positions.get(fill.tag);
      if (since === null) break;
      fill.again = false;
      const page = await this.#read(fill, since);
      if (this.#stopped) return;
      if (page === null) break;
      this.#take(fill.tag, since, page);
      await room();
      if (!page.more && !fill.again && !this.#behind(fill)) break;
    }
    if (this.#stopped) return;
    this.#fills.delete(fill.tag);
    for (const message of fill.held) this.#deliver(message);
  }

  /** Null where the log cannot be read: the gap has been told then. */
  async #read(fill: Fill, since: Position): Promise<HistoryPage | null> {
    const { positions, timers, backoff, read } = this.#options;
    while (!this.#stopped) {
      try {
        const page = await read(fill.tag, since, pageLimit);
        backoff.reset();
        return page;
      } catch (thrown) {
        const error = asError(thrown);
        if (this.#stopped || error.kind === "disconnected") return null;
        if (!error.retry) {
          this.#giveUp(fill, since, error);
          return null;
        }
        await pause(timers, backoff.nextMs());
        if (positions.get(fill.tag) === null) return null;
      }
    }
    return null;
  }

  #take(tag: string, since: Position, page: HistoryPage): void {
    const { positions } = this.#options;
    const { epoch, offset } = page.position;
    if (page.recovered === false) positions.miss(tag, epoch);
    else if (epoch !== since.epoch) {
      // What the log before had beyond our position may be lost.
      positions.raise("not-recovered", tag, { to: since.offset, epoch });
      positions.resume(tag, epoch);
    }
    for (const message of page.messages) this.#deliver(message);
    const known = positions.get(tag);
    if (page.more || known === null || known.offset >= offset) return;
    // The rest of the log is gone.
    positions.tellMissed();
    positions.set(tag, page.position);
  }

  /** Whether live messages were dropped that the pages read so far do not reach to. */
  #behind(fill: Fill): boolean {
    const next = fill.held?.[0]?.offset ?? 0;
    const behind = fill.dropped && next > (this.#options.positions.get(fill.tag)?.offset ?? 0) + 1;
    fill.dropped = false;
    return behind;
  }

  #giveUp({ tag, announced }: Fill, since: Position, error: TagcastError): void {
    const { positions } = this.#options;
    const denied = error.code === errors.denied.code;
    const same = announced?.epoch === since.epoch;
    positions.raise(denied ? "denied" : "not-recovered", tag, {
      from: since.offset + 1,
      to: same ? announced.offset : null,
    });
    positions.set(tag, announced ?? since, true);
  }

  #deliver(message: Message): void {
    const { positions, deliver } = this.#options;
    if (message.offset === null || positions.admit(message.tag, message.offset, message.position?.epoch ?? null))
      deliver(message);
  }
}
