/** What rooms need of the audit log: one entry for each administrative thing that was done or tried. */

export type AuditAction =
  | "server.start"
  | "server.stop"
  | "certificates.reload"
  | "login"
  | "logout"
  | "token.list"
  | "token.show"
  | "token.create"
  | "token.edit"
  | "token.revoke"
  | "revocation.list"
  | "revocation.add"
  | "revocation.withdraw"
  | "connection.list"
  | "connection.show"
  | "connection.end"
  | "connections.end"
  | "tag.list"
  | "metrics.read";

/** `refused`: the credential was not valid, or did not grant it · `failed`: it was wrong, there was no such thing, or it could not be done. */
export type AuditResult = "done" | "refused" | "failed";

/** Whom a credential speaks for, as far as it is known. */
export interface AuditActor {
  readonly app: string;
  readonly subject: string;
  readonly tokenId: string;
  readonly login: { readonly id: string } | null;
}

export interface AuditEntry {
  readonly action: AuditAction;
  readonly result: AuditResult;
  /** `server`: this process, as its supervisor or a signal told it · `file`: another process, in the token file · null: unknown. */
  readonly by: AuditActor | "server" | "file" | null;
  /** The client's address; null: none. */
  readonly from: string | null;
  /** What it was done to: the id of a token, a connection, a login or a revocation. */
  readonly target?: string;
  /** What was asked for; never a secret. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface Audit {
  /** Never throws: what cannot be written is told where the server is watched. */
  note(entry: AuditEntry): void;
}
