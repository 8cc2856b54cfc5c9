/** From a request to whom it speaks for: which credential it presents, whether that counts, and whether it is valid. */
import { AuthenticationError, type Authenticator, type Logins } from "../core/authenticator.ts";
import { errors } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../core/logger.ts";
import { MutedLog } from "../observe/muted-log.ts";
import type { Credentials, Entrance } from "../session/credentials.ts";
import type { Client } from "./client-address.ts";
import { cookieNames, cookieOf, endedLoginCookie, loginCookie, loginCookieName } from "./cookie.ts";
import type { Origins, Standing } from "./origins.ts";
import { problemOf } from "./problem.ts";

/** What of a request says who asks, and from where. */
export interface Asking {
  readonly headers: Headers;
  /** The client's. */
  readonly address: string;
  /** Whether the client speaks TLS. */
  readonly secure: boolean;
}

export function askingOf(request: Request, { address, secure }: Client): Asking {
  return { headers: request.headers, address, secure: secure ?? request.url.startsWith("https:") };
}

/** `token`: the credential itself · `login`: the ticket that a login left in the cookie. */
export interface Presented {
  readonly kind: "token" | "login";
  readonly text: string;
}

export interface DoorwayParts {
  readonly origins: Origins;
  readonly authenticator: Authenticator;
  /** Null: browsers cannot log in. */
  readonly logins: Logins | null;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Begins what a login leaves in a cookie, and nothing else. */
const ticketForm = /^tcl_/;

export class Doorway {
  readonly origins: Origins;
  readonly logins: Logins | null;
  readonly #parts: DoorwayParts;
  readonly #log: MutedLog;

  /** Close it to end what it does in the background. */
  constructor(parts: DoorwayParts) {
    this.origins = parts.origins;
    this.logins = parts.logins;
    this.#parts = parts;
    this.#log = new MutedLog(parts.log, parts.clock);
  }

  close(): void {
    this.#log.close();
  }

  /**
   * The credential of a request, or null: `Authorization: Bearer`, or the cookie, which counts only where the page that sent
   * it has the server's own origin or a listed one (browsers send cookies with other pages' requests too). `reads`: the
   * request changes nothing, so that its answer alone matters.
   */
  presented(asking: Asking, reads = false): Presented | null {
    const { headers } = asking;
    const bearer = bearerOf(headers);
    if (bearer !== null) return { kind: "token", text: bearer };
    const cookie = this.#cookieOf(asking);
    if (cookie === null) return null;
    if (this.origins.mayUseCookie(this.standingOf(asking))) return cookie;
    if (reads && isUnreadableElsewhere(headers)) return cookie;
    this.#refuse("cookie not counted: its page is not of an allowed origin", asking);
    return null;
  }

  /** What whoever presented nothing that counts is to do. */
  absence({ headers, secure }: Asking): string {
    return cookieNames(secure).some((name) => cookieOf(headers, name) !== null)
      ? "The cookie counts only with the Origin of a page of the server's own or of allowed-origins, as the client's scheme has it"
      : "Present a token: Authorization: Bearer …, or the cookie";
  }

  /** Whom it speaks for. @throws AuthenticationError, or rejects with it */
  identify(
    { kind, text }: Presented,
    { address: from, secure }: Asking,
    entrance: Entrance,
  ): Identity | Promise<Identity> {
    const { credentials, authenticator, logins } = this.#parts;
    return credentials.check({ from, entrance }, () => {
      if (kind === "token") return authenticator.authenticate(text);
      if (logins === null) throw new AuthenticationError(errors.expiredToken);
      return logins.identify(text, loginCookieName(secure));
    });
  }

  /** `Set-Cookie` with the ticket that takes the place of the one presented, whose identity is known; null: it is good for a while. */
  renewal({ kind, text }: Presented, { secure }: Asking): string | null {
    if (kind !== "login" || this.logins === null) return null;
    const ticket = this.logins.renew(text, loginCookieName(secure));
    return ticket === null ? null : this.cookieFor(ticket, secure);
  }

  cookieFor(ticket: { readonly text: string; readonly endsAtMs: number }, secure: boolean): string {
    const seconds = Math.ceil((ticket.endsAtMs - this.#parts.clock.wallMs()) / 1000);
    return loginCookie(ticket.text, seconds, secure);
  }

  /**
   * `Set-Cookie` that takes away the ticket of a login that is over, where that is what was presented; null: it was something
   * else, or is to be presented again.
   */
  ending({ kind }: Presented, { secure }: Asking, reason: unknown): string | null {
    if (kind !== "login" || !(reason instanceof AuthenticationError) || reason.code.retry) return null;
    return endedLoginCookie(secure);
  }

  standingOf({ headers, secure }: Asking): Standing {
    return this.origins.standingOf(headers, secure);
  }

  /**
   * The answer to the upgrade of a page that may not connect, or null. Pages cannot set `Authorization`: who does is a
   * program, whatever origin it names.
   */
  refusal(asking: Asking): Response | null {
    if (this.origins.mayConnect(this.standingOf(asking)) || bearerOf(asking.headers) !== null) return null;
    this.#refuse("upgrade refused: its page is not of an allowed origin", asking);
    return problemOf(
      errors.denied,
      "Pages of this origin may not connect: the server's allowed-origins do not name it",
    );
  }

  /** The answer to a page that may not log its visitor in or out, or null: that is for pages which may use the cookie then. */
  loginRefusal(asking: Asking): Response | null {
    if (this.standingOf(asking) !== "foreign") return null;
    this.#refuse("login or logout refused: its page is not of an allowed origin", asking);
    return problemOf(errors.denied, "Pages of this origin may not log in: the server's allowed-origins do not name it");
  }

  /** Tickets count where a login put them alone: elsewhere somebody else did. */
  #cookieOf({ headers, secure }: Asking): Presented | null {
    for (const name of cookieNames(secure)) {
      const text = cookieOf(headers, name);
      if (text === null) continue;
      if (!ticketForm.test(text)) return { kind: "token", text };
      if (name === loginCookieName(secure)) return { kind: "login", text };
    }
    return null;
  }

  #refuse(message: string, { headers, address: from, secure }: Asking): void {
    this.origins.counts.refused++;
    this.#log.warn(message, from, { origin: headers.get("origin"), host: headers.get("host"), secure });
  }
}

function bearerOf(headers: Headers): string | null {
  const authorization = headers.get("authorization") ?? "";
  // An admin token may hold spaces.
  return (/^bearer /i.test(authorization) && authorization.slice("bearer ".length).trim()) || null;
}

/**
 * Whether browsers keep the answer from pages of other origins: they name no origin in requests for reading to a page's
 * own server, nor in those of images and scripts, which cannot see what comes. Newer ones say which of the two it is.
 */
function isUnreadableElsewhere(headers: Headers): boolean {
  const site = headers.get("sec-fetch-site") ?? "same-origin";
  return headers.get("origin") === null && (site === "same-origin" || site === "none");
}
