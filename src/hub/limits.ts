/** Counts connections per credential, so that a token can bound how many it may hold at once. */
import type { Identity } from "../core/identity.ts";

export class ConnectionCounts {
  readonly #counts = new Map<string, number>();

  /** Counts one more connection; false, and nothing counted, where the credential has as many as it may. */
  acquire(identity: Identity): boolean {
    const key = keyOf(identity);
    const count = this.#counts.get(key) ?? 0;
    if (identity.connectionsMax !== null && count >= identity.connectionsMax) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  /** Undoes one `acquire` of the same identity. */
  release(identity: Identity): void {
    const key = keyOf(identity);
    const count = (this.#counts.get(key) ?? 0) - 1;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }

  /** A connection changes its credential. False where the new one has as many as it may: the old one stays counted. */
  transfer(from: Identity, to: Identity): boolean {
    if (keyOf(from) === keyOf(to)) return true;
    if (!this.acquire(to)) return false;
    this.release(from);
    return true;
  }
}

/** A managed token by its id; JWTs of one subject share their count, since each reissue is another token. */
function keyOf({ app, tokenId, subject }: Identity): string {
  return tokenId.startsWith("jwt:") ? `${app}\0jwt:\0${subject}` : `${app}\0${tokenId}`;
}
