/** Requests that may be repeated without harm: over reconnects, and where the server says that a retry can help. */
import type { Connection } from "./connection.ts";
import { asError } from "./errors.ts";
import type { Link } from "./link.ts";
import { pause } from "./timers.ts";

/** Refusals that are tried again before the last one is passed on. */
const refusalsMax = 5;

/** Rejects with a `TagcastError`: a refusal that stays, or the end of the client. */
export async function repeated<T>(connection: Connection, request: (link: Link) => Promise<T>): Promise<T> {
  const backoff = connection.createBackoff();
  while (true) {
    const link = await connection.ready();
    try {
      return await request(link);
    } catch (thrown) {
      const error = asError(thrown);
      if (error.kind === "disconnected") continue;
      if (!error.retry || backoff.attempts >= refusalsMax) throw error;
      await pause(connection.timers, backoff.nextMs());
    }
  }
}
