/** Which credentials were revoked by what they say of themselves: an index over a store's revocations. */
import type { Issued, Revocation } from "../core/token-store.ts";

/** Immutable: a store builds a new one when its revocations change. Look-ups cost two map reads. */
export class Revocations {
  /** By application and `jti`, else by application and subject. */
  readonly #index = new Map<string, Revocation[]>();

  constructor(revoked: readonly Revocation[]) {
    for (const entry of revoked) {
      const key = entry.jti === null ? keyOf("sub", entry.app, entry.subject) : keyOf("jti", entry.app, entry.jti);
      const same = this.#index.get(key);
      if (same === undefined) this.#index.set(key, [entry]);
      else same.push(entry);
    }
  }

  /** Whether any revocation matches; one whose time is over still does until the store drops it. */
  includes(issued: Issued): boolean {
    if (this.#index.size === 0) return false;
    const byJti = issued.jti === null ? [] : (this.#index.get(keyOf("jti", issued.app, issued.jti)) ?? []);
    const bySubject = this.#index.get(keyOf("sub", issued.app, issued.subject)) ?? [];
    return byJti.some((entry) => concerns(entry, issued)) || bySubject.some((entry) => concerns(entry, issued));
  }
}

function concerns(entry: Revocation, issued: Issued): boolean {
  if (entry.subject !== null && entry.subject !== issued.subject) return false;
  return entry.issuedBeforeMs === null || issued.issuedAtMs < entry.issuedBeforeMs;
}

function keyOf(kind: "jti" | "sub", app: string, value: string | null): string {
  return JSON.stringify([kind, app, value]);
}
