/**
 * Managed tokens and revocations that all instances of a cluster share: records of a ledger, read from this instance's copy.
 * An edit is worked out on the copy and committed if nobody was first, else worked out again.
 */
import type { Logger } from "../core/logger.ts";
import type { Ledger, LedgerChanges } from "../core/shared.ts";
import {
  type CreatedToken,
  type Issued,
  type ListedRevocation,
  type ManagedToken,
  type Revocation,
  type RevocationDraft,
  type StoreChange,
  type TokenDraft,
  type TokenPatch,
  type TokenStore,
  TokenStoreError,
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
import { readRevocation, readToken, revocationId, type TokenState } from "./token-state.ts";
import { TokenTable } from "./token-table.ts";

/** For how long a copy that nobody confirms is believed. */
export const copyMaxMs = 60_000;
/** How often an edit is worked out again because others were first. */
const triesMax = 20;

export interface SharedTokensOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Names of records begin with what they are. */
const tokenPrefix = "t:";
const revocationPrefix = "r:";

export class SharedTokens implements TokenStore {
  readonly #options: SharedTokensOptions;
  readonly #table = new TokenTable();
  /** What the records say, by their names: what did not change is not read again. */
  readonly #tokens = new Map<string, ManagedToken>();
  readonly #revoked = new Map<string, Revocation>();

  constructor(options: SharedTokensOptions) {
    this.#options = options;
    options.ledger.onChange((changes) => this.#follow(changes));
    this.#follow(null);
  }

  /** A value where it is known here. @throws TokenStoreError (rejects with it) where the copy is too old to say */
  find(secretHash: string): ManagedToken | null | Promise<ManagedToken | null> {
    const { ledger } = this.#options;
    const token = this.#table.find(secretHash);
    if (token !== null && ledger.ageMs() <= copyMaxMs) return token;
    // It may have been created elsewhere a moment ago.
    return ledger.catchUp().then(
      () => this.#table.find(secretHash),
      (cause: unknown) => {
        if (ledger.ageMs() <= copyMaxMs) return this.#table.find(secretHash);
        throw new TokenStoreError("unavailable", "Redis cannot be asked about tokens", { cause });
      },
    );
  }

  async list(): Promise<readonly ManagedToken[]> {
    await this.#caughtUp();
    return this.#table.state.tokens;
  }

  create(draft: TokenDraft): Promise<CreatedToken> {
    return this.#edit(creation(draft));
  }

  edit(id: string, patch: TokenPatch): Promise<ManagedToken | null> {
    return this.#edit(edition(id, patch));
  }

  revoke(id: string): Promise<ManagedToken | null> {
    return this.#edit(removal(id));
  }

  revokeIssued(draft: RevocationDraft): Promise<ListedRevocation> {
    return this.#edit(revocationOf(draft));
  }

  async revocations(): Promise<readonly ListedRevocation[]> {
    await this.#caughtUp();
    return listedRevocations(this.#table.state, this.#options.clock.wallMs());
  }

  withdraw(id: string): Promise<ListedRevocation | null> {
    return this.#edit(withdrawal(id));
  }

  isRevoked(issued: Issued): boolean {
    return this.#table.isRevoked(issued);
  }

  onChange(listener: (change: StoreChange) => void): void {
    this.#table.onChange(listener);
  }

  async #edit<T>(edit: TokenEdit<T>): Promise<T> {
    const { ledger, clock } = this.#options;
    await this.#caughtUp();
    for (let tries = 0; tries < triesMax; tries++) {
      const { revision } = ledger;
      const before = this.#table.state;
      const [next, result] = edit(before, clock.wallMs());
      const changes = changesOf(before, next);
      if (changes.size === 0 || (await this.#commit(revision, changes))) return result;
    }
    throw new TokenStoreError("unavailable", "Too many edits are made at once");
  }

  async #commit(revision: number, changes: LedgerChanges): Promise<boolean> {
    try {
      return await this.#options.ledger.commit(revision, changes);
    } catch (cause) {
      throw new TokenStoreError("unavailable", "Redis did not confirm the edit", { cause });
    }
  }

  async #caughtUp(): Promise<void> {
    try {
      await this.#options.ledger.catchUp();
    } catch (cause) {
      throw new TokenStoreError("unavailable", "Redis cannot be asked about tokens", { cause });
    }
  }

  #follow(changes: LedgerChanges | null): void {
    const { records } = this.#options.ledger;
    if (changes === null) {
      for (const name of this.#tokens.keys()) if (!records.has(name)) this.#tokens.delete(name);
      for (const name of this.#revoked.keys()) if (!records.has(name)) this.#revoked.delete(name);
    }
    for (const [name, text] of changes ?? records) this.#read(name, text);
    this.#table.replace({
      tokens: [...this.#tokens.values()].toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1)),
      revoked: [...this.#revoked.values()].toSorted((a, b) => a.revokedAtMs - b.revokedAtMs),
    });
  }

  #read(name: string, text: string | null): void {
    const isToken = name.startsWith(tokenPrefix);
    if (!isToken && !name.startsWith(revocationPrefix)) return;
    try {
      if (text === null) (isToken ? this.#tokens : this.#revoked).delete(name);
      else if (isToken) keep(this.#tokens, name, readToken(text));
      else keep(this.#revoked, name, readRevocation(text));
    } catch (error) {
      (isToken ? this.#tokens : this.#revoked).delete(name);
      this.#options.logger.error("a record in Redis cannot be read", { record: name, problem: String(error) });
    }
  }
}

/** What is as it was stays the same object: what was made of it holds. */
function keep<T>(known: Map<string, T>, name: string, value: T): void {
  if (!Bun.deepEquals(known.get(name), value)) known.set(name, value);
}

function changesOf(before: TokenState, after: TokenState): LedgerChanges {
  return new Map([
    ...difference(before.tokens, after.tokens, (token) => `${tokenPrefix}${token.id}`),
    ...difference(before.revoked, after.revoked, (entry) => `${revocationPrefix}${revocationId(entry)}`),
  ]);
}

function difference<T>(
  before: readonly T[],
  after: readonly T[],
  nameOf: (one: T) => string,
): Map<string, string | null> {
  const kept = new Set(after);
  const known = new Set(before);
  const changes = new Map<string, string | null>();
  for (const one of before) if (!kept.has(one)) changes.set(nameOf(one), null);
  for (const one of after) if (!known.has(one)) changes.set(nameOf(one), JSON.stringify(one));
  return changes;
}
