/** Finished frames of a native topic that a subscription left before they went out; shared with the others that get them. */
import type { Subscriber } from "./subscriber.ts";

export class Behind {
  /** Oldest first. */
  #frames: (Uint8Array | string)[] = [];

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  get bytes(): number {
    let bytes = 0;
    for (const frame of this.#frames) bytes += frame.length;
    return bytes;
  }

  replace(frames: (Uint8Array | string)[]): void {
    this.#frames = frames;
  }

  /** Sends as many as the socket takes: until it is `full`. */
  send({ native, frames }: Subscriber, full: () => boolean): void {
    if (this.isEmpty || native === null) return;
    frames.flush();
    let sent = 0;
    for (; sent < this.#frames.length; sent++) {
      if (full()) break;
      native.write(this.#frames[sent] as Uint8Array | string);
    }
    this.#frames = this.#frames.slice(sent);
  }
}
