/** Managed tokens kept in this process alone, gone with it: the reference for every other store. */
import type {
  CreatedToken,
  Issued,
  ManagedToken,
  Revocation,
  RevocationDraft,
  StoreChange,
  TokenDraft,
  TokenPatch,
  TokenStore,
} from "../core/token-store.ts";
import type { Clock } from "../lib/clock.ts";
import { withCreated, withEdited, withoutToken, withRevocation } from "./token-state.ts";
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
    const { state, created } = withCreated(this.#table.state, draft, this.#clock.wallMs());
    this.#table.replace(state);
    return created;
  }

  edit(id: string, patch: TokenPatch): ManagedToken | null {
    const { state, token } = withEdited(this.#table.state, id, patch);
    this.#table.replace(state);
    return token;
  }

  revoke(id: string): ManagedToken | null {
    const { state, token } = withoutToken(this.#table.state, id);
    this.#table.replace(state);
    return token;
  }

  revokeIssued(draft: RevocationDraft): Revocation {
    const { state, revocation } = withRevocation(this.#table.state, draft, this.#clock.wallMs());
    this.#table.replace(state);
    return revocation;
  }

  isRevoked(issued: Issued): boolean {
    return this.#table.isRevoked(issued);
  }

  onChange(listener: (change: StoreChange) => void): void {
    this.#table.onChange(listener);
  }
}
