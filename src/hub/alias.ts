/** An unsigned integer that stands for a tag on the connections that were told of it. */
import type { TagHead } from "../wire/frames.ts";
import { encodeAliasHead } from "../wire/write-msgpack.ts";

/** The largest number that is given: aliases are uint32 on the wire. */
const aliasMax = 0xffff_ffff;

export class Alias implements TagHead {
  readonly number: number;
  readonly tag: string;
  readonly head: Uint8Array;

  constructor(number: number, tag: string) {
    this.number = number;
    this.tag = tag;
    this.head = encodeAliasHead(number);
  }
}

/** Numbers for the tags of one application on this instance: the same on all connections, so that one frame serves them all. */
export class AliasNumbers {
  #last = 0;

  /** An alias of its own for a tag, or null once there are no more. A number is never given again. */
  next(tag: string): Alias | null {
    return this.#last < aliasMax ? new Alias(++this.#last, tag) : null;
  }
}
