/** The authenticator: managed tokens by hash, then JWTs by signature, then revocations; and word of every change. */
import { AuthenticationError, type Authenticator, type CredentialChange } from "../core/authenticator.ts";
import { errors } from "../core/codes.ts";
import { allGrants, Grants } from "../core/grants.ts";
import { adminTokenId, type Identity } from "../core/identity.ts";
import type { Logger } from "../core/logger.ts";
import type { ManagedToken, StoreChange, TokenStore } from "../core/token-store.ts";
import type { Clock } from "../lib/clock.ts";
import { loginOf } from "./login-name.ts";
import type { Keepsake } from "./login-ticket.ts";
import { JwtCache } from "./jwt-cache.ts";
import { looksLikeJwt, type VerifiedJwt, verifyJwt } from "./jwt.ts";
import { type ApplicationKeys, type OpenKeys, openKeys } from "./keys.ts";
import { equalHashes, hashOf } from "./secrets.ts";

/** Bytes of UTF-8 that a credential may have. */
export const credentialBytesMax = 8192;

export interface AuthenticatorOptions {
  /** With their JWT keys; an application may have none. */
  readonly applications: Iterable<ApplicationKeys>;
  readonly store: TokenStore;
  /** The run's admin token, or null: none. Its holder may do everything in application `main`. */
  readonly adminToken: string | null;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tolerance for the times in JWTs, milliseconds; default 30,000. */
  readonly clockSkewMs?: number;
}

/**
 * Reads the keys and listens to the store. Close it to end what it does in the background.
 * @throws (rejects with) KeyError where a key cannot be used
 */
export async function openAuthenticator(options: AuthenticatorOptions): Promise<TokenAuthenticator> {
  return new TokenAuthenticator(options, await openKeys(options.applications, options));
}

export class TokenAuthenticator implements Authenticator {
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #clockSkewMs: number;
  readonly #keys: OpenKeys;
  readonly #jwts: JwtCache;
  readonly #admin: { readonly hash: string; readonly identity: Identity } | null;
  /** Compiled once for each state of a managed token. */
  readonly #identities = new WeakMap<ManagedToken, Identity>();
  #listener: ((change: CredentialChange) => void) | null = null;

  /** Use `openAuthenticator`. */
  constructor(options: AuthenticatorOptions, keys: OpenKeys) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#clockSkewMs = options.clockSkewMs ?? 30_000;
    this.#keys = keys;
    this.#jwts = new JwtCache(options.clock);
    this.#admin = options.adminToken === null ? null : adminOf(options.adminToken, options.clock.wallMs());
    options.store.onChange((change) => this.#listener?.(this.#told(change)));
  }

  /** A value where the store answers with one and for a JWT seen lately, else a promise. */
  authenticate(credential: string): Identity | Promise<Identity> {
    if (credential === "" || Buffer.byteLength(credential) > credentialBytesMax)
      throw new AuthenticationError(errors.invalidToken);
    return this.#find(hashOf(credential), this.#isJwt(credential) ? credential : null);
  }

  /** What a login keeps of a valid credential. */
  keepsake(credential: string): Keepsake {
    const hash = hashOf(credential);
    return this.#isJwt(credential) && !this.#isAdmin(hash) ? { jwt: credential } : { hash };
  }

  /** Who the credential that it was made of speaks for now. Throws and rejects as `authenticate`. */
  recall(keepsake: Keepsake): Identity | Promise<Identity> {
    return "jwt" in keepsake ? this.#find(hashOf(keepsake.jwt), keepsake.jwt) : this.#find(keepsake.hash, null);
  }

  /** Secrets of managed tokens do not look like this: a store elsewhere need not be asked. */
  #isJwt(credential: string): boolean {
    return this.#keys.keys.length > 0 && looksLikeJwt(credential);
  }

  #isAdmin(hash: string): boolean {
    return this.#admin !== null && equalHashes(hash, this.#admin.hash);
  }

  #find(hash: string, jwt: string | null): Identity | Promise<Identity> {
    if (this.#admin !== null && this.#isAdmin(hash)) return this.#admitted(this.#admin.identity, null);
    if (jwt !== null) return this.#jwt(jwt, hash);
    const token = this.#store.find(hash);
    if (!(token instanceof Promise)) return this.#managed(token);
    return token.then(
      (found) => this.#managed(found),
      (error: unknown) => {
        this.#logger.warn("token store did not answer", { problem: String(error) });
        throw new AuthenticationError(errors.unavailable, undefined, { cause: error });
      },
    );
  }

  onChange(listener: (change: CredentialChange) => void): void {
    this.#listener = listener;
  }

  /** JWTs whose signatures need not be verified again. */
  get cachedJwts(): number {
    return this.#jwts.size;
  }

  close(): void {
    this.#keys.close();
  }

  #managed(token: ManagedToken | null): Identity {
    if (token === null) throw new AuthenticationError(errors.invalidToken);
    return this.#admitted(this.#identityOf(token), null);
  }

  #jwt(jwt: string, hash: string): Identity | Promise<Identity> {
    const known = this.#jwts.get(hash);
    return known === null ? this.#verify(jwt, hash) : this.#admittedJwt(known);
  }

  async #verify(credential: string, hash: string): Promise<Identity> {
    const verified = await verifyJwt(credential, {
      keys: this.#keys.keys,
      clock: this.#clock,
      clockSkewMs: this.#clockSkewMs,
    });
    this.#jwts.add(hash, verified);
    return this.#admittedJwt(verified);
  }

  #admittedJwt(verified: VerifiedJwt): Identity {
    const { claims, app } = verified;
    const expMs = claims.exp * 1000;
    // Only who arrives late is given the skew: an open session ends when its token says so.
    const expiresAtMs = Math.floor(expMs > this.#clock.wallMs() ? expMs : expMs + this.#clockSkewMs);
    const client = claims.client ?? null;
    const identity: Identity = {
      app,
      subject: claims.sub,
      client,
      grants: new Grants(claims.grants, claims.deny, { client, sub: claims.sub }),
      expiresAtMs,
      tokenId: jwtId(claims.jti ?? null),
      issuedAtMs: Math.floor((claims.iat ?? 0) * 1000),
      connectionsMax: claims.connections ?? null,
      messagesPerSecond: claims.messagesPerSecond ?? null,
      bytesPerSecond: claims.bytesPerSecond ?? null,
      login: null,
    };
    return this.#admitted(identity, claims.jti ?? null);
  }

  /** The last step for every credential: what was revoked meanwhile, or is over, does not get in. */
  #admitted(identity: Identity, jti: string | null): Identity {
    const { app, subject, issuedAtMs, expiresAtMs } = identity;
    if (this.#store.isRevoked({ app, jti, subject, issuedAtMs })) throw new AuthenticationError(errors.invalidToken);
    if (expiresAtMs !== null && expiresAtMs <= this.#clock.wallMs()) throw new AuthenticationError(errors.expiredToken);
    return identity;
  }

  #identityOf(token: ManagedToken): Identity {
    let identity = this.#identities.get(token);
    if (identity === undefined) {
      identity = {
        app: token.app,
        subject: token.subject,
        client: token.client,
        grants: new Grants(token.grants, token.deny, { client: token.client, sub: token.subject }),
        expiresAtMs: token.expiresAtMs,
        tokenId: token.id,
        issuedAtMs: token.createdAtMs,
        connectionsMax: token.connectionsMax,
        messagesPerSecond: token.messagesPerSecond,
        bytesPerSecond: token.bytesPerSecond,
        login: null,
      };
      this.#identities.set(token, identity);
    }
    return identity;
  }

  #told(change: StoreChange): CredentialChange {
    if (change.kind === "edited") return { kind: "edited", identity: this.#identityOf(change.token) };
    if (change.kind === "revoked") return { kind: "revoked", app: change.token.app, tokenId: change.token.id };
    const { app, jti, subject, issuedBeforeMs } = change.revocation;
    const login = jti === null ? null : loginOf(jti);
    if (login !== null) return { kind: "revoked", app, login };
    return {
      kind: "revoked",
      app,
      ...(jti !== null && { tokenId: jwtId(jti) }),
      ...(subject !== null && { subject }),
      ...(issuedBeforeMs !== null && { issuedBeforeMs }),
    };
  }
}

function adminOf(secret: string, nowMs: number): { readonly hash: string; readonly identity: Identity } {
  const identity: Identity = {
    app: "main",
    subject: "admin",
    client: null,
    grants: new Grants(allGrants),
    expiresAtMs: null,
    tokenId: adminTokenId,
    issuedAtMs: nowMs,
    connectionsMax: null,
    messagesPerSecond: 0,
    bytesPerSecond: 0,
    login: null,
  };
  return { hash: hashOf(secret), identity };
}

function jwtId(jti: string | null): string {
  return `jwt:${jti ?? ""}`;
}
