/**
 * Messages of one tag whose publishers do not want them back (`echo: false`), until they are served. The feed says whose
 * a message is, the log does not: this is for messages that the feed loses.
 */
import type { NativeConnection } from "./subscriber.ts";

/** Messages of one epoch that are remembered; of those beyond it the publishers may get a copy. */
const messagesMax = 4096;

export class OwnMessages {
  /** By epoch and offset. */
  readonly #owners = new Map<number, Map<number, NativeConnection>>();

  get isEmpty(): boolean {
    for (const offsets of this.#owners.values()) if (offsets.size > 0) return false;
    return true;
  }

  note(epoch: number, offset: number, owner: NativeConnection): void {
    let offsets = this.#owners.get(epoch);
    if (offsets === undefined) this.#owners.set(epoch, (offsets = new Map()));
    if (offsets.size < messagesMax) offsets.set(offset, owner);
  }

  /** Who does not want a message back; asked once, when it is served. */
  take(epoch: number, offset: number): NativeConnection | null {
    const offsets = this.#owners.get(epoch);
    const owner = offsets?.get(offset) ?? null;
    if (owner !== null) offsets?.delete(offset);
    return owner;
  }

  /** The log was read up to `top`: of no more use is what stands before it and what belongs to another epoch. False: nothing is left. */
  keepAfter(epoch: number, top: number): boolean {
    for (const [other, offsets] of this.#owners) {
      if (other !== epoch) this.#owners.delete(other);
      else for (const offset of offsets.keys()) if (offset <= top) offsets.delete(offset);
    }
    const left = this.#owners.get(epoch)?.size ?? 0;
    return left > 0;
  }
}
