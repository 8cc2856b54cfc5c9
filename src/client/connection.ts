/**
 * Keeps one link open: connects, waits, connects again, until it is closed or the server's code says not to. The only
 * place that knows the client's state.
 */
import { Backoff } from "../lib/backoff.ts";
import { op } from "../wire/messages.ts";
import { Credential } from "./credential.ts";
import { asError, TagcastError } from "./errors.ts";
import { asNumber, type Fields } from "./inbound.ts";
import { Link, type LinkEnd } from "./link.ts";
import { standardTimers, type Timer, type Timers } from "./timers.ts";
import type { ClientState, ConnectOptions } from "./types.ts";

/** A connection that held this long was a success: the next back-off begins short. */
const stableMs = 5_000;
const defaultBackoff = { minMs: 500, maxMs: 20_000 };

export interface ConnectionEvents {
  readonly state: (state: ClientState) => void;
  /** The link is ready for requests; `result` is that of op 1. */
  readonly active: (link: Link, result: Fields) => void;
  /** An active link ended; its calls have failed. */
  readonly lost: () => void;
  readonly message: (message: readonly unknown[]) => void;
  readonly error: (error: TagcastError) => void;
}

interface Waiter {
  readonly resolve: (link: Link) => void;
  readonly reject: (error: TagcastError) => void;
}

export class Connection {
  readonly timers: Timers;
  readonly #url: string;
  readonly #options: ConnectOptions;
  readonly #events: ConnectionEvents;
  readonly #backoff: Backoff;
  readonly #credential: Credential;
  #state: ClientState = "connecting";
  #link: Link | null = null;
  #activeSinceMs = 0;
  #timer: Timer | null = null;
  #waiters: Waiter[] = [];
  #reason: TagcastError | null = null;

  constructor(url: string, options: ConnectOptions, events: ConnectionEvents) {
    this.#url = url.replace(/^http/, "ws");
    this.#options = options;
    this.#events = events;
    this.timers = options.timers ?? standardTimers;
    this.#backoff = this.createBackoff();
    this.#credential = new Credential(options.token, this.timers);
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The link while it is active. */
  get active(): Link | null {
    return this.#state === "active" ? this.#link : null;
  }

  /** Why it is closed; null where it is open, or the application closed it. */
  get reason(): TagcastError | null {
    return this.#reason;
  }

  /** What calls of a closed client are told. */
  get failure(): TagcastError {
    return this.#reason ?? new TagcastError("closed", "The client is closed");
  }

  /** Delays as configured, for whatever else tries again. */
  createBackoff(): Backoff {
    const { backoff = defaultBackoff, random } = this.#options;
    return new Backoff(random ? { ...backoff, random } : backoff);
  }

  start(): void {
    void this.#attempt();
  }

  /** The active link, now or once there is one. Rejects when the connection is closed for good. */
  ready(): Promise<Link> {
    if (this.active) return Promise.resolve(this.active);
    if (this.#state === "closed") return Promise.reject(this.failure);
    return new Promise((resolve, reject) => void this.#waiters.push({ resolve, reject }));
  }

  /** Ends everything; `reason` null: the application wanted it. */
  close(reason: TagcastError | null): void {
    if (this.#state === "closed") return;
    const wasActive = this.#state === "active";
    this.#reason = reason;
    this.#timer?.cancel();
    this.#credential.stop();
    this.#state = "closed";
    this.#link?.close();
    this.#link = null;
    if (wasActive) this.#events.lost();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.failure);
    this.#events.state("closed");
  }

  async #attempt(): Promise<void> {
    this.#enter("connecting");
    let token: string | undefined;
    try {
      token = await this.#credential.token();
    } catch (thrown) {
      if (this.state !== "connecting") return;
      this.#wait(0);
      return this.#events.error(asError(thrown));
    }
    if (this.state === "connecting") this.#open(token);
  }

  #open(token: string | undefined): void {
    const { client, echo, ping, raw, webSocket } = this.#options;
    try {
      this.#link = new Link({
        url: this.#url,
        webSocket: webSocket ?? WebSocket,
        timers: this.timers,
        raw: raw ?? false,
        connect: { token, client, echo, ping },
        opened: (result) => this.#activate(result),
        message: this.#events.message,
        ended: (end) => this.#ended(end),
      });
    } catch (thrown) {
      // A URL that is refused now will be refused again.
      this.close(asError(thrown));
    }
  }

  #activate(result: Fields): void {
    const link = this.#link;
    if (link === null) return;
    this.#activeSinceMs = this.timers.monotonicMs();
    this.#state = "active";
    this.#credential.keepFresh(
      asNumber(result["expires"]),
      async (token) => asNumber((await link.call(op.refresh, token))["expires"]),
      (thrown) => this.#events.error(asError(thrown)),
    );
    this.#events.active(link, result);
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(link);
    if (this.state === "active") this.#events.state("active");
  }

  #ended(end: LinkEnd): void {
    if (this.#state === "closed") return;
    const wasActive = this.#state === "active";
    this.#link = null;
    this.#credential.stop();
    if (wasActive && this.timers.monotonicMs() - this.#activeSinceMs >= stableMs) this.#backoff.reset();
    const error =
      end.refusal ??
      new TagcastError("disconnected", end.text || "The connection was lost", { code: end.code, retry: true });
    if (!this.#mayReturn(end)) {
      const { code } = end;
      return this.close(new TagcastError("closed", error.message, { code, cause: error }));
    }
    if (wasActive) this.#events.lost();
    this.#wait(end.retryAfterMs);
    this.#events.error(error);
  }

  /** The range of the code decides, and of a refused op 1 whether the same or a new token can be accepted. */
  #mayReturn(end: LinkEnd): boolean {
    if (this.#credential.renewable(end)) return true;
    if (end.refusal) return end.refusal.retry;
    return end.code < 3500 || end.code > 3999;
  }

  #wait(retryAfterMs: number): void {
    this.#timer = this.timers.after(retryAfterMs + this.#backoff.nextMs(), () => void this.#attempt());
    this.#enter("waiting");
  }

  #enter(state: ClientState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#events.state(state);
  }
}
