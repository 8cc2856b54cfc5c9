/** What sessions and gateways need from `auth`: a credential in, an identity out, and word of every change. */
import type { ErrorCode } from "./codes.ts";
import { errors } from "./codes.ts";
import type { Identity } from "./identity.ts";

/**
 * A credential that was not accepted: `invalidToken`, `expiredToken`, `unavailable` where its keys could not be had now, or
 * `tooManyRequests` where it was not looked at.
 */
export class AuthenticationError extends Error {
  readonly code: ErrorCode;
  /** After which it may be presented again; 0: not said. */
  readonly retryAfterMs: number;
  constructor(code: ErrorCode, message: string = code.text, options?: { cause?: unknown; retryAfterMs?: number }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AuthenticationError";
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs ?? 0;
  }

  /** What the client is told: never more than the code says. */
  get text(): string {
    if (this.code === errors.unavailable) return "The credential cannot be checked now";
    if (this.code === errors.tooManyRequests)
      return "Too many tokens from this address were not valid: try again later";
    return this.code.text;
  }
}

/** A credential changed while sessions may be open on it. */
export type CredentialChange =
  /** A managed token was edited. */
  | { readonly kind: "edited"; readonly identity: Identity }
  /** All sessions that match every field given are to end. */
  | {
      readonly kind: "revoked";
      readonly app: string;
      readonly tokenId?: string;
      readonly subject?: string;
      /** Id of the login that is over. */
      readonly login?: string;
      readonly issuedBeforeMs?: number;
    };

export interface Authenticator {
  /**
   * Who the credential (a JWT or a managed token's secret) speaks for.
   * @throws AuthenticationError, or rejects with it; a value where no promise is needed.
   */
  authenticate(credential: string): Identity | Promise<Identity>;
  /** Registers the one listener for changes. */
  onChange(listener: (change: CredentialChange) => void): void;
}

/** What a browser keeps of a login. */
export interface LoginTicket {
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly endsAtMs: number;
}

/** Logins of browsers. `place` is where a ticket is kept: it counts nowhere else. */
export interface Logins {
  /** A login, for a credential that was found valid. */
  open(credential: string, place: string): LoginTicket;
  /** Who it speaks for now. @throws AuthenticationError, or rejects with it; `expiredToken` also where it is no ticket */
  identify(ticket: string, place: string): Identity | Promise<Identity>;
  /** The ticket to take the place of one that is valid; null: that is good for a while, or was just over. */
  renew(ticket: string, place: string): LoginTicket | null;
  /** Ends the login of an identity: every ticket of it, and what they let in. Rejects where the store does not take it. */
  end(identity: Identity): Promise<void>;
}
