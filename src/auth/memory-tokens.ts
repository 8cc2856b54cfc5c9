/** Managed tokens kept in this process alone, gone with it: the reference for every other store. */
import type {
  CreatedToken,
  Issued,
  ListedRevocation,
  ManagedToken,
  RevocationDraft,
  StoreChange,
  TokenDraft,
  TokenPatch,
  TokenStore,
} from "../core/token-store.ts";
import type { Clock } from "../lib/clock.ts";
import {
  creation,
  edition,
  listedRevocations,
  removal,
  revocationOf,
  type TokenEdit,
  withdrawal,
} from "./token-edits.ts";
import { TokenTable } from "./token-table.ts";

/** All answers are values. */
export class MemoryTokens implements TokenStore {
  readonly #clock: Clock;
  readonly #table = new TokenTable();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  find(secretHash: string): ManagedToken | null {
    return this.#table.find(secretHash);
  }

  list(): readonly ManagedToken[] {
    return this.#table.state.tokens;
  }

  create(draft: TokenDraft): CreatedToken {
    return this.#edit(creation(draft));
  }

  edit(id: string, patch: TokenPatch): ManagedToken | null {
    return this.#edit(edition(id, patch));
  }

  revoke(id: string): ManagedToken | null {
    return this.#edit(removal(id));
  }

  revokeIssued(draft: RevocationDraft): ListedRevocation {
    return this.#edit(revocationOf(draft));
  }

  revocations(): readonly ListedRevocation[] {
    return listedRevocations(this.#table.state, this.#clock.wallMs());
  }

  withdraw(id: string): ListedRevocation | null {
    return this.#edit(withdrawal(id));
  }

  isRevoked(issued: Issued): boolean {
    return this.#table.isRevoked(issued);
  }

  onChange(listener: (change: StoreChange) => void): void {
    this.#table.onChange(listener);
  }

  #edit<T>(edit: TokenEdit<T>): T {
    const [next, result] = edit(this.#table.state, this.#clock.wallMs());
    this.#table.replace(next);
    return result;
  }
}
