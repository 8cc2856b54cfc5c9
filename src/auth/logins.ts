/**
 * Logins of browsers: a credential presented once is answered with a ticket that lives for a short time and is renewed while
 * it is used. A ticket speaks for what its credential grants now, so whatever ends or changes that acts on the ticket.
 */
import { AuthenticationError, type LoginTicket, type Logins } from "../core/authenticator.ts";
import { errors } from "../core/codes.ts";
import { type Identity, underLogin } from "../core/identity.ts";
import type { TokenStore } from "../core/token-store.ts";
import type { Clock } from "../lib/clock.ts";
import type { TokenAuthenticator } from "./authenticator.ts";
import { loginJti } from "./login-name.ts";
import { newTicketKey, seal, type Ticket, ticketKey, unseal } from "./login-ticket.ts";

export interface LoginOptions {
  readonly authenticator: Pick<TokenAuthenticator, "keepsake" | "recall">;
  readonly store: Pick<TokenStore, "isRevoked" | "revokeIssued">;
  readonly clock: Clock;
  /** What tickets are sealed with; null: a key that lasts as long as this process. */
  readonly key: string | null;
  /** How long a ticket lives; milliseconds. */
  readonly ttlMs: number;
  /** How long a login lasts at most, however often its ticket is renewed; 0: as long as that is. */
  readonly maxMs: number;
}

/** Of its life a ticket is renewed from here on, and sessions that came in with it end, so that they come back with the next. */
const renewedFrom = 1 / 2;
const sessionsUntil = 3 / 4;

/** How long a logout is remembered beyond the life of a ticket. */
const slackMs = 600_000;

export class TicketLogins implements Logins {
  readonly #options: LoginOptions;
  readonly #key: Uint8Array;

  constructor(options: LoginOptions) {
    this.#options = options;
    this.#key = options.key === null ? newTicketKey() : ticketKey(options.key);
  }

  open(credential: string, place: string): LoginTicket {
    const nowMs = this.#options.clock.wallMs();
    const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex");
    const keepsake = this.#options.authenticator.keepsake(credential);
    return this.#issued({ id, sinceMs: nowMs, madeMs: nowMs, keepsake }, place);
  }

  identify(text: string, place: string): Identity | Promise<Identity> {
    const ticket = this.#read(text, place);
    // Nothing but a new login helps.
    if (ticket === null) throw new AuthenticationError(errors.expiredToken);
    const identity = this.#options.authenticator.recall(ticket.keepsake);
    return identity instanceof Promise
      ? identity.then((recalled) => this.#admitted(recalled, ticket))
      : this.#admitted(identity, ticket);
  }

  renew(text: string, place: string): LoginTicket | null {
    const ticket = this.#read(text, place);
    return ticket !== null && this.#isDue(ticket)
      ? this.#issued({ ...ticket, madeMs: this.#options.clock.wallMs() }, place)
      : null;
  }

  async end({ app, login }: Identity): Promise<void> {
    if (login === null) return;
    const { store, clock, ttlMs } = this.#options;
    // Then the last ticket of it is over, also one that another instance made a moment later, or by a clock that is ahead.
    await store.revokeIssued({ app, jti: loginJti(login.id), expiresAtMs: clock.wallMs() + ttlMs + slackMs });
  }

  /** Null where it is over, or none of ours. */
  #read(text: string, place: string): Ticket | null {
    const ticket = unseal(text, place, this.#key);
    return ticket === null || this.#endsAtMs(ticket) <= this.#options.clock.wallMs() ? null : ticket;
  }

  #admitted(identity: Identity, ticket: Ticket): Identity {
    const { store, clock, ttlMs } = this.#options;
    const issued = {
      app: identity.app,
      jti: loginJti(ticket.id),
      subject: identity.subject,
      issuedAtMs: ticket.sinceMs,
    };
    if (store.isRevoked(issued)) throw new AuthenticationError(errors.expiredToken);
    const madeMs = this.#isDue(ticket) ? clock.wallMs() : ticket.madeMs;
    const endsAtMs = Math.min(madeMs + ttlMs * sessionsUntil, this.#lastMs(ticket));
    return underLogin(identity, { id: ticket.id, endsAtMs: Math.floor(endsAtMs) });
  }

  #isDue({ madeMs }: Ticket): boolean {
    const { clock, ttlMs } = this.#options;
    return clock.wallMs() - madeMs >= ttlMs * renewedFrom;
  }

  #issued(ticket: Ticket, place: string): LoginTicket {
    return { text: seal(ticket, place, this.#key), endsAtMs: this.#endsAtMs(ticket) };
  }

  #endsAtMs(ticket: Ticket): number {
    return Math.min(ticket.madeMs + this.#options.ttlMs, this.#lastMs(ticket));
  }

  #lastMs({ sinceMs }: Ticket): number {
    const { maxMs } = this.#options;
    return maxMs === 0 ? Infinity : sinceMs + maxMs;
  }
}
