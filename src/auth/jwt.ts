/**
 * JWTs: who signed it, whether its times hold, what it claims. The algorithm is the key's, by configuration; a token
 * only narrows which keys are tried.
 */
import { decodeJwt, decodeProtectedHeader, errors as joseErrors, type JWSHeaderParameters, jwtVerify } from "jose";
import { AuthenticationError } from "../core/authenticator.ts";
import { errors } from "../core/codes.ts";
import type { Clock } from "../lib/clock.ts";
import { type Claims, claimsSchema } from "./claims.ts";
import { KeysUnavailable } from "./jwks.ts";
import type { ApplicationKey, VerifyKey } from "./keys.ts";

export interface VerifiedJwt {
  readonly app: string;
  readonly claims: Claims;
}

export interface JwtOptions {
  readonly keys: readonly ApplicationKey[];
  readonly clock: Clock;
  /** Tolerance for `exp`, `nbf` and `iat`, milliseconds. */
  readonly clockSkewMs: number;
}

/** Whether text has the shape of a signed JWT: three parts of base64url. */
export function looksLikeJwt(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}

/**
 * Tries the keys that fit, in the order of configuration. What is wrong is told apart only once a signature was found
 * to be right: to everybody else each bad token looks the same.
 * @throws AuthenticationError `invalidToken`, `expiredToken`, or `unavailable` where a key set that may know it is away
 */
export async function verifyJwt(token: string, options: JwtOptions): Promise<VerifiedJwt> {
  const { header, issuer } = peek(token);
  let failure = new AuthenticationError(errors.invalidToken);
  for (const candidate of options.keys) {
    if (!fits(candidate, header, issuer)) continue;
    try {
      for (const key of await candidate.keysFor(header)) {
        const outcome = await tryKey(token, { candidate, key, ...options });
        if (!(outcome instanceof AuthenticationError)) return outcome;
        failure = graver(failure, outcome);
      }
    } catch (error) {
      if (!(error instanceof KeysUnavailable)) throw error;
      failure = graver(
        failure,
        new AuthenticationError(errors.unavailable, "The keys cannot be had", { cause: error }),
      );
    }
  }
  throw failure;
}

/** Header and issuer, of which nothing is proved yet. */
function peek(token: string): { readonly header: JWSHeaderParameters; readonly issuer: string | undefined } {
  try {
    return { header: decodeProtectedHeader(token), issuer: decodeJwt(token).iss };
  } catch (error) {
    throw new AuthenticationError(errors.invalidToken, undefined, { cause: error });
  }
}

function fits({ config }: ApplicationKey, header: JWSHeaderParameters, issuer: string | undefined): boolean {
  if (header.alg !== config.algorithm) return false;
  if (header.kid !== undefined && config.keyId !== undefined && header.kid !== config.keyId) return false;
  return config.issuer === undefined || config.issuer === issuer;
}

interface Attempt {
  readonly candidate: ApplicationKey;
  readonly key: VerifyKey;
  readonly clock: Clock;
  readonly clockSkewMs: number;
}

async function tryKey(token: string, attempt: Attempt): Promise<VerifiedJwt | AuthenticationError> {
  const { app, config } = attempt.candidate;
  const nowMs = attempt.clock.wallMs();
  try {
    const { payload } = await jwtVerify(token, attempt.key, {
      algorithms: [config.algorithm],
      currentDate: new Date(nowMs),
      clockTolerance: attempt.clockSkewMs / 1000,
      requiredClaims: ["exp", "sub"],
      ...(config.issuer !== undefined && { issuer: config.issuer }),
      ...(config.audience !== undefined && { audience: config.audience }),
    });
    const claims = claimsSchema.safeParse(payload);
    if (!claims.success)
      return new AuthenticationError(errors.invalidToken, claimsText(claims.error.issues[0]?.path[0]));
    if ((claims.data.iat ?? 0) * 1000 > nowMs + attempt.clockSkewMs)
      return new AuthenticationError(errors.invalidToken, "The token was issued in the future");
    return { app, claims: claims.data };
  } catch (error) {
    return failureOf(error);
  }
}

/** `jose` checks the signature first: claim errors are about tokens whose signer is known. */
function failureOf(error: unknown): AuthenticationError {
  if (error instanceof joseErrors.JWTExpired && error.reason === "check_failed")
    return new AuthenticationError(errors.expiredToken, undefined, { cause: error });
  if (error instanceof joseErrors.JWTClaimValidationFailed)
    return new AuthenticationError(errors.invalidToken, claimsText(error.claim), { cause: error });
  // A TypeError: a key of a set that is too short or made for something else.
  if (error instanceof joseErrors.JOSEError || error instanceof TypeError)
    return new AuthenticationError(errors.invalidToken, undefined, { cause: error });
  throw error;
}

function claimsText(claim: unknown): string {
  if (claim === "exp") return "The token needs an exp claim: seconds since 1970";
  if (claim === "nbf") return "The token is not valid yet";
  return `The token's claim "${String(claim)}" is missing or not what is expected`;
}

/** Of two failures the one that says more: expired, then retryable, then explained. */
function graver(a: AuthenticationError, b: AuthenticationError): AuthenticationError {
  return weightOf(b) > weightOf(a) ? b : a;
}

function weightOf({ code, message }: AuthenticationError): number {
  if (code === errors.expiredToken) return 3;
  if (code === errors.unavailable) return 2;
  return message === code.text ? 0 : 1;
}
