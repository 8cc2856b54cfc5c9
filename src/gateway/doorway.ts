/** From a request to whom it speaks for: which credential it presents, whether that counts, and whether it is valid. */
import type { Authenticator } from "../core/authenticator.ts";
import { errors } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import type { Logger } from "../core/logger.ts";
import type { Clock } from "../lib/clock.ts";
import { MutedLog } from "../observe/muted-log.ts";
import type { Credentials, Entrance } from "../session/credentials.ts";
import type { Client } from "./client-address.ts";
import type { Origins } from "./origins.ts";
import { problemOf } from "./problem.ts";

export const cookieName = "tagcast";

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

export interface DoorwayParts {
  readonly origins: Origins;
  readonly authenticator: Authenticator;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Doorway {
  readonly origins: Origins;
  readonly #parts: DoorwayParts;
  readonly #log: MutedLog;

  /** Close it to end what it does in the background. */
  constructor(parts: DoorwayParts) {
    this.origins = parts.origins;
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
  presented(asking: Asking, reads = false): string | null {
    const { headers } = asking;
    const bearer = bearerOf(headers);
    if (bearer !== null) return bearer;
    const cookie = cookieOf(headers.get("cookie") ?? "", cookieName);
    if (cookie === null) return null;
    if (this.origins.mayUseCookie(this.origins.standingOf(headers, asking.secure))) return cookie;
    if (reads && isUnreadableElsewhere(headers)) return cookie;
    this.#refuse("cookie not counted: its page is not of an allowed origin", asking);
    return null;
  }

  /** Whom it speaks for. @throws AuthenticationError, or rejects with it */
  identify(credential: string, { address: from }: Asking, entrance: Entrance): Identity | Promise<Identity> {
    const { credentials, authenticator } = this.#parts;
    return credentials.check({ from, entrance }, () => authenticator.authenticate(credential));
  }

  /**
   * The answer to the upgrade of a page that may not connect, or null. Pages cannot set `Authorization`: who does is a
   * program, whatever origin it names.
   */
  refusal(asking: Asking): Response | null {
    const { headers, secure } = asking;
    if (this.origins.mayConnect(this.origins.standingOf(headers, secure)) || bearerOf(headers) !== null) return null;
    this.#refuse("upgrade refused: its page is not of an allowed origin", asking);
    return problemOf(
      errors.denied,
      "Pages of this origin may not connect: the server's allowed-origins do not name it",
    );
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

function cookieOf(header: string, wanted: string): string | null {
  for (const pair of header.split(";")) {
    const [name, ...value] = pair.trim().split("=");
    if (name === wanted) return value.join("=") || null;
  }
  return null;
}
