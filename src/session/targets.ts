/** Remembers, per session, which tags were published to and whether the grants allow it, keyed by the tag's bytes. */
import type { Identity } from "../core/identity.ts";
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Hub } from "../hub/hub.ts";
import type { TagState } from "../hub/space.ts";
import { decodeUtf8 } from "../wire/utf8.ts";

/** The bytes as a string of as many units: a key without the cost of decoding. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice: (this: Uint8Array, start: number, end: number) => string;
};
/** Tags remembered; beyond it all are forgotten and found again. */
const targetsMax = 256;

export class Targets {
  readonly #hub: Hub;
  readonly #known = new Map<string, TagState>();

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /**
   * The state of the tag whose UTF-8 bytes stand at `start`…`end` of `frame`.
   * @throws ProtocolError `invalidTag`, `denied`
   */
  find(identity: Identity, frame: Uint8Array, start: number, end: number): TagState {
    const key = latin1Slice.call(frame, start, end);
    const known = this.#known.get(key);
    if (known !== undefined && !known.forgotten) return known;
    const tag = decodeUtf8(frame, start, end);
    if (tag === null) throw new ProtocolError(errors.invalidTag);
    const state = this.#hub.target(identity, tag);
    if (this.#known.size >= targetsMax) this.#known.clear();
    this.#known.set(key, state);
    return state;
  }
}
