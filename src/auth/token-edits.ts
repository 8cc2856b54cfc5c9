/** What can be done to managed tokens, as every store does it: from one state to the next, with what the caller is told. */
import type {
  CreatedToken,
  ListedRevocation,
  ManagedToken,
  Revocation,
  RevocationDraft,
  TokenDraft,
  TokenPatch,
} from "../core/token-store.ts";
import {
  pruned,
  revocationId,
  type TokenState,
  withCreated,
  withEdited,
  withoutRevocation,
  withoutToken,
  withRevocation,
} from "./token-state.ts";

/** May be called again on a newer state, where another edit came first. @throws TokenStoreError `invalid` */
export type TokenEdit<T> = (state: TokenState, nowMs: number) => readonly [next: TokenState, result: T];

export function creation(draft: TokenDraft): TokenEdit<CreatedToken> {
  return (before, nowMs) => {
    const { state, created } = withCreated(before, draft, nowMs);
    return [state, created];
  };
}

export function edition(id: string, patch: TokenPatch): TokenEdit<ManagedToken | null> {
  return (before) => {
    const { state, token } = withEdited(before, id, patch);
    return [state, token];
  };
}

export function removal(id: string): TokenEdit<ManagedToken | null> {
  return (before) => {
    const { state, token } = withoutToken(before, id);
    return [state, token];
  };
}

export function revocationOf(draft: RevocationDraft): TokenEdit<ListedRevocation> {
  return (before, nowMs) => {
    const { state, revocation } = withRevocation(before, draft, nowMs);
    return [state, listed(revocation)];
  };
}

export function withdrawal(id: string): TokenEdit<ListedRevocation | null> {
  return (before) => {
    const { state, revocation } = withoutRevocation(before, id);
    return [state, revocation === null ? null : listed(revocation)];
  };
}

/** The revocations of a state that can still matter. */
export function listedRevocations({ revoked }: TokenState, nowMs: number): readonly ListedRevocation[] {
  return pruned(revoked, nowMs).map(listed);
}

function listed(revocation: Revocation): ListedRevocation {
  return { id: revocationId(revocation), ...revocation };
}
