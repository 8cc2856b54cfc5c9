/** What a session asks of the socket under it; gateways implement it. */
import type { NativeConnection } from "../hub/subscriber.ts";
import type { Lane } from "../wire/messages.ts";

export interface Connection extends NativeConnection {
  readonly lane: Lane;
  /** For logs: where the client connects from. */
  readonly remoteAddress: string;
  /** For administrators: the origin of the page that it belongs to, as its browser says; null: none. */
  readonly origin: string | null;
  /** A WebSocket ping: any answer counts as a sign of life. */
  ping(): void;
  /**
   * Sends what is buffered, then the close frame; a peer that does not take it in time is cut off. Pauses are over.
   * `Session.closed` may be called before this returns.
   */
  close(code: number, reason: string): void;
}
