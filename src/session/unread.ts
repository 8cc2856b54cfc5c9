/** What is kept for all clients that do not read what is sent to them: where it is too much, those with the most are ended. */
import { disconnects } from "../core/codes.ts";
import type { Logger } from "../core/logger.ts";
import type { Hub } from "../hub/hub.ts";
import type { Connected } from "./connected.ts";

export class Unread {
  /** As of the last look. */
  bytes = 0;
  /** Connections ended so far. */
  ended = 0;
  readonly #hub: Hub;
  readonly #log: Logger;
  readonly #maxBytes: number;

  constructor(hub: Hub, log: Logger, maxBytes = Infinity) {
    this.#hub = hub;
    this.#log = log;
    this.#maxBytes = maxBytes;
  }

  /** Looks at all connections. */
  bound(connections: Iterable<Connected>): void {
    const kept = this.#hub.sinks.kept();
    const slow: { readonly connection: Connected; readonly bytes: number }[] = [];
    this.bytes = 0;
    for (const connection of connections) {
      if (connection.closing) continue;
      const bytes = connection.bufferedBytes() + (kept.get(connection) ?? 0);
      if (bytes === 0) continue;
      this.bytes += bytes;
      slow.push({ connection, bytes });
    }
    if (this.bytes <= this.#maxBytes) return;
    slow.sort((a, b) => b.bytes - a.bytes);
    for (const { connection, bytes } of slow) {
      if (this.bytes <= this.#maxBytes) return;
      this.bytes -= bytes;
      this.ended++;
      const { id, remoteAddress } = connection;
      this.#log.warn("too much is unread: a slow client is ended", { connection: id, from: remoteAddress, bytes });
      connection.end(disconnects.slow);
    }
  }
}
