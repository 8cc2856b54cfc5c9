/** Who a session speaks for, as a credential says it. */
import type { Grants } from "./grants.ts";

/** What stands for the run's admin token where others have an id: managed tokens have digits in theirs. */
export const adminTokenId = "admin";

/** Bounds that a credential may carry itself. */
export interface CredentialLimits {
  /** Connections it may hold at once, or null: no bound of its own. */
  readonly connectionsMax: number | null;
  /**
   * Messages a second that all its connections and requests at one instance may send, in place of what is configured for
   * connections and tokens; 0: any number, null: as configured.
   */
  readonly messagesPerSecond: number | null;
  /** Likewise, bytes. */
  readonly bytesPerSecond: number | null;
}

export const noCredentialLimits: CredentialLimits = {
  connectionsMax: null,
  messagesPerSecond: null,
  bytesPerSecond: null,
};

export interface Identity extends CredentialLimits {
  /** The application whose tag space the credential opens. */
  readonly app: string;
  /** Scope of idempotency keys; a refreshed token must keep it. */
  readonly subject: string;
  /** The client name that the credential fixes, or null where it leaves the choice to op 1. */
  readonly client: string | null;
  /** Compiled, with `${client}` and `${sub}` filled from the credential. */
  readonly grants: Grants;
  /** Milliseconds since 1970, or null: never. */
  readonly expiresAtMs: number | null;
  /** What revocation and live edits name: the id of a managed token, or `jwt:` and the `jti` (`jwt:` alone without one). */
  readonly tokenId: string;
  /** Milliseconds since 1970; 0 where unknown. */
  readonly issuedAtMs: number;
  /** The login by which a browser presented it, or null. */
  readonly login: Login | null;
}

export interface Login {
  /** Unguessable, and grants nothing. */
  readonly id: string;
  /** When what it let in ends, milliseconds since 1970; the browser may come back with a new ticket. */
  readonly endsAtMs: number;
}

/** The same as a login has it: over when either is. */
export function underLogin(identity: Identity, login: Login): Identity {
  const expiresAtMs = Math.min(identity.expiresAtMs ?? Infinity, login.endsAtMs);
  return { ...identity, login, expiresAtMs };
}
