/**
 * One turn of the driver's event loop: what is to be sent is gathered until all that has arrived was read, and leaves
 * in one write per connection; the clock is read once per chunk that arrives.
 */

export interface Flushable {
  flush(): void;
}

export class Turn {
  bytesIn = 0;
  bytesOut = 0;
  /** Called at the end of each turn in which something arrived, before what was gathered is sent. */
  onEnd: (() => void) | null = null;
  #micros = 0;
  #stale = true;
  #scheduled = false;
  #waiting: Flushable[] = [];

  /** Microseconds; the same for everything in a chunk. */
  micros(): number {
    if (this.#stale) {
      this.#micros = performance.now() * 1000;
      this.#stale = false;
    }
    return this.#micros;
  }

  /** Time has passed. */
  tick(): void {
    this.#stale = true;
  }

  /** A chunk came and was taken. */
  arrived(bytes: number): void {
    this.bytesIn += bytes;
    this.#stale = true;
    if (this.onEnd !== null) this.#schedule();
  }

  /** Calls `flush` at the end of the turn, once for each call of this method. */
  flushLater(what: Flushable): void {
    this.#waiting.push(what);
    this.#schedule();
  }

  flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const what of waiting) what.flush();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#end);
  }

  readonly #end = (): void => {
    this.#scheduled = false;
    this.#stale = true;
    this.onEnd?.();
    this.flush();
  };
}
