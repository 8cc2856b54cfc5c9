/**
 * Counts connections per credential, so that a token can bound how many it may hold at once: those of this instance, and
 * where there are others, all of them together.
 */
import type { Identity } from "../core/identity.ts";
import type { SharedCounts } from "../core/shared.ts";

interface Count {
  /** Connections of this instance. */
  all: number;
  /** Those of them whose credential has a bound: the others are told of these. */
  bounded: number;
}

export class ConnectionCounts {
  readonly #counts = new Map<string, Count>();
  readonly #shared: SharedCounts | null;

  /** Without `shared` there are no other instances. */
  constructor(shared: SharedCounts | null = null) {
    this.#shared = shared;
    shared?.onRecount(() => this.#bounded());
  }

  /**
   * Counts one more connection; false, and nothing counted, where the credential has as many as it may. A promise only where
   * the credential has a bound and other instances are to be asked; until then the connection is counted here.
   */
  acquire(identity: Identity): boolean | Promise<boolean> {
    const key = credentialKeyOf(identity);
    const { connectionsMax } = identity;
    const known = this.#counts.get(key);
    if (connectionsMax !== null && (known?.all ?? 0) >= connectionsMax) return false;
    const count = known ?? { all: 0, bounded: 0 };
    if (known === undefined) this.#counts.set(key, count);
    count.all++;
    if (connectionsMax === null) return true;
    count.bounded++;
    if (this.#shared === null) return true;
    return this.#shared.acquire(key, connectionsMax).then((isAdmitted) => {
      if (!isAdmitted) this.#remove(key, true);
      return isAdmitted;
    });
  }

  /** Undoes one `acquire` of the same identity. */
  release(identity: Identity): void {
    const key = credentialKeyOf(identity);
    const isBounded = identity.connectionsMax !== null;
    this.#remove(key, isBounded);
    if (isBounded) this.#shared?.add(key, -1);
  }

  /** Whether connections of both are counted together. */
  same(a: Identity, b: Identity): boolean {
    return credentialKeyOf(a) === credentialKeyOf(b);
  }

  /** A counted connection changes its credential for one that is counted together with it; whatever its bound, it stays. */
  changed(from: Identity, to: Identity): void {
    const more = Number(to.connectionsMax !== null) - Number(from.connectionsMax !== null);
    const key = credentialKeyOf(to);
    const count = this.#counts.get(key);
    if (more === 0 || count === undefined) return;
    count.bounded += more;
    this.#shared?.add(key, more);
  }

  /** How many more connections of a credential there are here than it may have anywhere. */
  excess(identity: Identity): number {
    const here = this.#counts.get(credentialKeyOf(identity))?.all ?? 0;
    return identity.connectionsMax === null ? 0 : Math.max(0, here - identity.connectionsMax);
  }

  /**
   * Whether one of the connections of a credential whose bound was lowered may stay, those of other instances counted too. To be
   * asked for the newest first, until one may; false: end it.
   */
  async recheck(identity: Identity): Promise<boolean> {
    const { connectionsMax } = identity;
    if (connectionsMax === null || this.#shared === null) return true;
    const key = credentialKeyOf(identity);
    this.#shared.add(key, -1);
    // What is added leaves at the end of this microtask: the question must come behind it.
    await Promise.resolve();
    const stays = await this.#shared.acquire(key, connectionsMax);
    // Its end takes it away once more.
    if (!stays) this.#shared.add(key, 1);
    return stays;
  }

  *#bounded(): Iterable<readonly [string, number]> {
    for (const [key, { bounded }] of this.#counts) if (bounded > 0) yield [key, bounded];
  }

  #remove(key: string, isBounded: boolean): void {
    const count = this.#counts.get(key);
    if (count === undefined) return;
    count.all--;
    if (isBounded) count.bounded--;
    if (count.all <= 0) this.#counts.delete(key);
  }
}

/** What is counted together: a managed token by its id; JWTs of one subject share their count, since each reissue is another token. */
export function credentialKeyOf({ app, tokenId, subject }: Identity): string {
  return tokenId.startsWith("jwt:") ? `${app}\0jwt:\0${subject}` : `${app}\0${tokenId}`;
}
