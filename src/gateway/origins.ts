/** Which pages may do what: the origin of a request against the list of allowed ones, and what browsers are told of it (CORS). */

/**
 * `own`: a page of this server · `listed`: one that the configuration names · `foreign`: any other of the web, and those that
 * hide where they are from (`null`) · `none`: no page of the web: programs, and apps that send `file://` and the like.
 */
export type Standing = "own" | "listed" | "foreign" | "none";

/** Stands for every origin, as far as no cookie is concerned. */
export const anyOrigin = "*";

/** Seconds for which browsers remember that a page may ask. */
const preflightSeconds = 600;

export class Origins {
  /** Requests of pages that were not allowed: upgrades, and cookies that did not count. */
  readonly counts = { refused: 0 };
  readonly #listed: ReadonlySet<string>;
  readonly #any: boolean;

  /** `allowed`: origins as browsers send them, and `*`. */
  constructor(allowed: readonly string[]) {
    this.#any = allowed.includes(anyOrigin);
    this.#listed = new Set(allowed.filter((origin) => origin !== anyOrigin));
  }

  /** `secure`: whether the client speaks TLS, which is part of the server's own origin. */
  standingOf(headers: Headers, secure: boolean): Standing {
    const origin = headers.get("origin");
    if (origin === null) return "none";
    if (this.#listed.has(origin)) return "listed";
    const scheme = secure ? "https" : "http";
    if (origin === URL.parse(`${scheme}://${headers.get("host") ?? ""}`)?.origin) return "own";
    return origin === "null" || /^https?:/i.test(origin) ? "foreign" : "none";
  }

  /** Whether a page may open a WebSocket, on which it then presents a token of its own. */
  mayConnect(standing: Standing): boolean {
    return standing !== "foreign" || this.#any;
  }

  /** Whether what the browser adds by itself, the cookie, counts as the page's own will. */
  mayUseCookie(standing: Standing): boolean {
    return standing === "own" || standing === "listed";
  }

  /** Headers by which a browser lets the page of an allowed origin read an answer; of `OPTIONS`, what it may ask. */
  expose(answer: Headers, request: { readonly method: string; readonly headers: Headers }): void {
    if (this.#listed.size > 0) answer.append("vary", "Origin");
    const origin = request.headers.get("origin");
    if (origin === null) return;
    if (this.#listed.has(origin)) {
      answer.set("access-control-allow-origin", origin);
      answer.set("access-control-allow-credentials", "true");
    } else if (this.#any) answer.set("access-control-allow-origin", anyOrigin);
    else return;
    answer.set("access-control-expose-headers", "Location, Retry-After");
    if (request.method !== "OPTIONS") return;
    answer.set("access-control-allow-methods", "GET, HEAD, POST, PATCH, DELETE");
    answer.set("access-control-allow-headers", "Authorization, Content-Type, Last-Event-ID, Tag");
    answer.set("access-control-max-age", String(preflightSeconds));
  }
}
