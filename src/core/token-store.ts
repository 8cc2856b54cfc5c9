/**
 * Managed tokens and revocations: the contract of what keeps them (memory, a file, later a database). Secrets are
 * `tct_` and 43 characters, shown once, at creation; a store holds only their SHA-256.
 */
import type { GrantMap } from "./grants.ts";
import type { CredentialLimits } from "./identity.ts";

export interface ManagedToken extends CredentialLimits {
  /** Lowercase letters and digits, unique in the store, never used again. */
  readonly id: string;
  readonly app: string;
  /** For people. */
  readonly name: string;
  /** `token:` and the id unless given. */
  readonly subject: string;
  readonly client: string | null;
  readonly grants: GrantMap;
  readonly deny: GrantMap;
  /** Milliseconds since 1970, or null: never. */
  readonly expiresAtMs: number | null;
  readonly createdAtMs: number;
  /** SHA-256 of the secret, lowercase hexadecimal. */
  readonly hash: string;
}

type WishedLimits = { readonly [L in keyof CredentialLimits]?: CredentialLimits[L] | undefined };

/** Absent: `app` main, `subject` `token:<id>`, else nothing. */
export interface TokenDraft extends WishedLimits {
  readonly app?: string | undefined;
  readonly name: string;
  readonly subject?: string | undefined;
  readonly client?: string | null | undefined;
  readonly grants: GrantMap;
  readonly deny?: GrantMap | undefined;
  readonly expiresAtMs?: number | null | undefined;
}

/** What may change; absent fields stay. Application, subject and client say whose token it is: those need another token. */
export interface TokenPatch extends WishedLimits {
  readonly name?: string | undefined;
  readonly grants?: GrantMap | undefined;
  readonly deny?: GrantMap | undefined;
  readonly expiresAtMs?: number | null | undefined;
}

export interface CreatedToken {
  readonly token: ManagedToken;
  /** Not to be had again. */
  readonly secret: string;
}

/** Revokes credentials by what they say of themselves; all fields given must match, and at least `jti` or `subject` is. */
export interface RevocationDraft {
  readonly app: string;
  readonly jti?: string | undefined;
  readonly subject?: string | undefined;
  /** Only what was issued before this; absent: before now, or with `jti` whenever. Milliseconds since 1970. */
  readonly issuedBeforeMs?: number | undefined;
  /** When the last credential that it concerns is over anyway, where that is known. Milliseconds since 1970. */
  readonly expiresAtMs?: number | undefined;
}

export interface Revocation {
  readonly app: string;
  readonly jti: string | null;
  readonly subject: string | null;
  /** Null: whenever they were issued. */
  readonly issuedBeforeMs: number | null;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number;
}

export interface ListedRevocation extends Revocation {
  /** The same for two that revoke the same. */
  readonly id: string;
}

/** What a credential says of itself, for revocations to match. */
export interface Issued {
  readonly app: string;
  /** Null: a managed token, or a JWT without one. */
  readonly jti: string | null;
  readonly subject: string;
  /** 0 where unknown: then it counts as issued before anything. */
  readonly issuedAtMs: number;
}

export type StoreChange =
  | { readonly kind: "edited"; readonly token: ManagedToken }
  /** Gone, or changed so that it speaks for somebody else. */
  | { readonly kind: "revoked"; readonly token: ManagedToken }
  | { readonly kind: "issuedRevoked"; readonly revocation: Revocation };

/** An edit that cannot be made: its fields are `invalid`, or the store is `unavailable`. The message is for people. */
export class TokenStoreError extends Error {
  readonly reason: "invalid" | "unavailable";
  constructor(reason: "invalid" | "unavailable", message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "TokenStoreError";
    this.reason = reason;
  }
}

/** Answers are values where the store is in this process. Edits throw or reject with `TokenStoreError`. */
export interface TokenStore {
  /** The token whose secret has this SHA-256 (lowercase hexadecimal), expired or not. */
  find(secretHash: string): ManagedToken | null | Promise<ManagedToken | null>;
  list(): readonly ManagedToken[] | Promise<readonly ManagedToken[]>;
  create(draft: TokenDraft): CreatedToken | Promise<CreatedToken>;
  /** The token as it is now, or null: no such id. */
  edit(id: string, patch: TokenPatch): ManagedToken | null | Promise<ManagedToken | null>;
  /** Ends a managed token for ever; the token as it was, or null: no such id. */
  revoke(id: string): ManagedToken | null | Promise<ManagedToken | null>;
  /** Remembers a revocation for as long as it can matter. */
  revokeIssued(draft: RevocationDraft): ListedRevocation | Promise<ListedRevocation>;
  /** What was revoked by `revokeIssued` and can still matter, oldest first. */
  revocations(): readonly ListedRevocation[] | Promise<readonly ListedRevocation[]>;
  /**
   * Takes a revocation back: what it concerned and is not over by now is valid again. The revocation as it was, or null: no such id.
   */
  withdraw(id: string): ListedRevocation | null | Promise<ListedRevocation | null>;
  /** Whether a revocation matches. From memory: a store elsewhere keeps a copy. */
  isRevoked(issued: Issued): boolean;
  /** Registers the one listener; it hears of each change, whoever made it, after `find` and `isRevoked` show it. */
  onChange(listener: (change: StoreChange) => void): void;
}
