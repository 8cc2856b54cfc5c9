/** Who a session speaks for, as a credential says it. */
import type { Grants } from "./grants.ts";

export interface Identity {
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
  /** Connections the credential may hold at once, or null: no bound of its own. */
  readonly connectionsMax: number | null;
}
