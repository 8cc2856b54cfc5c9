/** Whether a client's words travel encrypted, what happens where they do not, and what browsers are told about it. */
import { errors } from "../core/codes.ts";
import type { Logger } from "../core/logger.ts";
import type { Clock } from "../lib/clock.ts";
import { MutedLog } from "../observe/muted-log.ts";
import { type Client, isLoopbackAddress } from "./client-address.ts";
import { problem } from "./problem.ts";

const yearMs = 365 * 24 * 3_600_000;

export interface EncryptionOptions {
  readonly requireTls: boolean;
  /** Null: a year with `requireTls`, else 0, which is nothing. */
  readonly hstsMs: number | null;
}

export interface EncryptionParts extends EncryptionOptions {
  readonly clock: Clock;
  readonly log: Logger;
}

type Answer = Response | undefined;

export class Encryption {
  readonly counts = { plainRefused: 0 };
  readonly #required: boolean;
  /** Value of Strict-Transport-Security, or null. */
  readonly #hsts: string | null;
  readonly #log: MutedLog;

  constructor({ requireTls, hstsMs, clock, log }: EncryptionParts) {
    this.#required = requireTls;
    const ms = hstsMs ?? (requireTls ? yearMs : 0);
    this.#hsts = ms === 0 ? null : `max-age=${ms / 1000}`;
    this.#log = new MutedLog(log, clock);
  }

  /** The answer to a request that did not come encrypted where it has to, else null. Health is told to this machine. */
  refuse(client: Client, secure: boolean, health: boolean): Response | null {
    if (secure || !this.#required || (health && isLoopbackAddress(client.address))) return null;
    this.counts.plainRefused++;
    this.#log.warn("connection refused: it is not encrypted", client.address, {});
    return problem(403, errors.denied.code, "This server is reached by TLS alone: use https:// or wss://");
  }

  /** Tells browsers, with an answer that travels encrypted, to come that way again. */
  seal(answer: Answer | Promise<Answer>, secure: boolean): Answer | Promise<Answer> {
    if (this.#hsts === null || !secure) return answer;
    return answer instanceof Promise ? answer.then((response) => this.#mark(response)) : this.#mark(answer);
  }

  close(): void {
    this.#log.close();
  }

  #mark(response: Answer): Answer {
    if (this.#hsts !== null) response?.headers.set("strict-transport-security", this.#hsts);
    return response;
  }
}
