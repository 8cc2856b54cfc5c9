/** What somebody else did to a store of tokens, for the audit log: the difference between two states of it. */
import type { AuditEntry } from "../core/audit.ts";
import type { ManagedToken } from "../core/token-store.ts";
import { revocationId, type TokenState } from "./token-state.ts";

/** One entry for each token and revocation that is new, changed or gone. */
export function entriesBetween(before: TokenState, after: TokenState): AuditEntry[] {
  const entries: AuditEntry[] = [];
  const note = (action: AuditEntry["action"], target: string, detail: object) =>
    entries.push({ action, result: "done", by: "file", from: null, target, detail: { ...detail } });
  const old = new Map(before.tokens.map((token) => [token.id, token]));
  const now = new Map(after.tokens.map((token) => [token.id, token]));
  for (const [id, token] of now) {
    const known = old.get(id);
    if (known === undefined) note("token.create", id, shown(token));
    else if (!Bun.deepEquals(known, token)) note("token.edit", id, shown(token));
  }
  for (const [id, { app, name, subject }] of old) if (!now.has(id)) note("token.revoke", id, { app, name, subject });
  const known = new Map(before.revoked.map((entry) => [revocationId(entry), entry]));
  const held = new Map(after.revoked.map((entry) => [revocationId(entry), entry]));
  for (const [id, entry] of held) if (!known.has(id)) note("revocation.add", id, entry);
  for (const [id, entry] of known) if (!held.has(id)) note("revocation.withdraw", id, entry);
  return entries;
}

/** All but the hash. */
function shown({ hash: _hash, id: _id, ...token }: ManagedToken) {
  return token;
}
