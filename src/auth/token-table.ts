/** The state of a store in memory, indexed, with its one listener. */
import type { Issued, ManagedToken, StoreChange } from "../core/token-store.ts";
import { Revocations } from "./revocations.ts";
import { equalHashes } from "./secrets.ts";
import { changesBetween, emptyState, type TokenState } from "./token-state.ts";

export class TokenTable {
  #state: TokenState = emptyState;
  #byHash: ReadonlyMap<string, ManagedToken> = new Map();
  #revocations = new Revocations([]);
  #listener: ((change: StoreChange) => void) | null = null;

  get state(): TokenState {
    return this.#state;
  }

  find(secretHash: string): ManagedToken | null {
    const token = this.#byHash.get(secretHash);
    return token !== undefined && equalHashes(token.hash, secretHash) ? token : null;
  }

  isRevoked(issued: Issued): boolean {
    return this.#revocations.includes(issued);
  }

  onChange(listener: (change: StoreChange) => void): void {
    this.#listener = listener;
  }

  /** Takes the next state and then tells the listener what changed. */
  replace(next: TokenState): void {
    const changes = changesBetween(this.#state, next);
    this.#state = next;
    this.#byHash = new Map(next.tokens.map((token) => [token.hash, token]));
    this.#revocations = new Revocations(next.revoked);
    for (const change of changes) this.#listener?.(change);
  }
}
