/** A connection to Redis for a command that looks at what instances share, or edits it, and ends. */
import { hostsOf, readRedisAddress } from "../../core/redis-address.ts";
import { silentLogger } from "../../core/logger.ts";
import type { InstanceView, Ledger } from "../../core/shared.ts";
import type { Clock } from "../../lib/clock.ts";
import { Calls, randomName } from "./calls.ts";
import { RedisLedger } from "./control/ledger.ts";
import { Roster } from "./control/roster.ts";
import type { Connection } from "./servers/connection.ts";
import { Servers } from "./servers/open.ts";

export interface RedisTool extends Disposable {
  /** Up to date as of `catchUp`. */
  readonly ledger: Ledger;
  /** Of the instances whose lease holds. */
  instances(): Promise<readonly InstanceView[]>;
}

/** @throws (rejects with) Error where Redis cannot be reached or used; its text is for people and holds no password */
export async function openRedisTool(url: string, clock: Clock): Promise<RedisTool> {
  const address = readRedisAddress(url);
  const instance = randomName();
  let connection: Connection;
  try {
    connection = await new Servers(address, { instance, clock }).connect();
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Redis at ${hostsOf(address)} cannot be used: ${problem}`, { cause });
  }
  // What is asked for here does not depend on where tags are kept.
  const calls = new Calls({ instance, slotLevels: 1, aheadMs: () => 0 });
  calls.use(connection);
  const ledger = new RedisLedger({ calls, clock, logger: silentLogger, readOrders: () => Promise.resolve() });
  const roster = new Roster(calls);
  return {
    ledger,
    async instances() {
      await roster.read(null);
      return roster.views;
    },
    [Symbol.dispose]: () => connection.destroy(),
  };
}
