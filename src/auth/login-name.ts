/** The name by which revocations know a login: it stands where JWTs have their `jti`. */

const prefix = "login:";

export function loginJti(id: string): string {
  return prefix + id;
}

/** The id of the login that a revoked `jti` names, or null: it is that of a JWT. */
export function loginOf(jti: string): string | null {
  return jti.startsWith(prefix) ? jti.slice(prefix.length) : null;
}
