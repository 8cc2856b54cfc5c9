/** What all connections have in common, whatever they speak: seen by administrators, ended by the registry. */
import type { DisconnectCode } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import type { Subscriber } from "../hub/subscriber.ts";
import type { Lane } from "../wire/messages.ts";

export interface Connected extends Subscriber {
  /** Unguessable, and grants nothing. */
  readonly id: string;
  readonly transport: "websocket" | "sse";
  readonly lane: Lane;
  readonly remoteAddress: string;
  /** Of the page that it belongs to; null: none. */
  readonly origin: string | null;
  /** Monotonic. */
  readonly openedAtMs: number;
  /** Whether `identity` may be asked for. */
  readonly identified: boolean;
  /** Whether it is neither on its way in nor on its way out. */
  readonly active: boolean;
  /** Whether it counts towards the bound of its credential. */
  readonly counted: boolean;
  /** Whether it is on its way out. */
  readonly closing: boolean;
  /** Says why, then closes. Its subscriptions end now. */
  end(code: DisconnectCode, retryAfterMs?: number): void;
}

/** A connection that sends nothing: gateways implement it, and register it once its identity is known. */
export interface Listener extends Connected {
  readonly transport: "sse";
  /** A credential that was edited takes the place of the one it came with. */
  identity: Identity;
  /** Called every second with monotonic time. */
  heartbeat(nowMs: number): void;
}
