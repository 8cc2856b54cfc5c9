/** The cookie by which browsers present a credential: how it is named, written and read. */

/** What applications set themselves, and what a login sets where the client does not speak TLS. */
export const cookieName = "tagcast";
/** Browsers take a name that begins so only from a secure answer, and send it to this host alone. */
const secureCookieName = "__Host-tagcast";

/** Where the ticket of a login is kept. Over TLS nothing that a page without it planted can take its place. */
export function loginCookieName(secure: boolean): string {
  return secure ? secureCookieName : cookieName;
}

/** `Set-Cookie` for the ticket of a login: out of the reach of scripts, and of other sites. */
export function loginCookie(ticket: string, maxAgeSeconds: number, secure: boolean): string {
  const attributes = [
    "Path=/",
    `Max-Age=${maxAgeSeconds}`,
    "HttpOnly",
    "SameSite=Strict",
    ...(secure ? ["Secure"] : []),
  ];
  return [`${loginCookieName(secure)}=${ticket}`, ...attributes].join("; ");
}

/** `Set-Cookie` that takes it away. */
export function endedLoginCookie(secure: boolean): string {
  return loginCookie("", 0, secure);
}

/** The value of a cookie, or null: none, or an empty one. */
export function cookieOf(headers: Headers, wanted: string): string | null {
  for (const pair of (headers.get("cookie") ?? "").split(";")) {
    const [name, ...value] = pair.trim().split("=");
    if (name === wanted) return value.join("=") || null;
  }
  return null;
}

/** The names that count, the first that is there first. */
export function cookieNames(secure: boolean): readonly string[] {
  return secure ? [secureCookieName, cookieName] : [cookieName];
}
