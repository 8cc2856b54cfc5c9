/** Gathers what one microtask sends into frames, so that many small messages cost few system calls. */
import { concat } from "./codec.ts";

/** A frame of several messages is at most this long; a longer message goes alone. */
export const frameMaxBytes = 64 * 1024;

export class Outbox {
  readonly #write: (frame: Uint8Array<ArrayBuffer>) => void;
  #waiting: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  constructor(write: (frame: Uint8Array<ArrayBuffer>) => void) {
    this.#write = write;
  }

  add(message: Uint8Array<ArrayBuffer>): void {
    if (this.#bytes + message.length > frameMaxBytes) this.flush();
    if (this.#waiting.length === 0) queueMicrotask(() => this.flush());
    this.#waiting.push(message);
    this.#bytes += message.length;
  }

  flush(): void {
    const [first, ...rest] = this.#waiting;
    if (first === undefined) return;
    this.#waiting = [];
    this.#bytes = 0;
    this.#write(rest.length === 0 ? first : concat([first, ...rest]));
  }
}
