/** SQLite brokers on files of their own, with a clock that tests move. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteBroker, type SqliteBroker, type SqliteBrokerOptions } from "../../src/broker/sqlite.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { OpenBroker } from "../contract/broker.ts";
import { FakeClock } from "./clock.ts";
import { scratchDirectory } from "./server.ts";

/** Where files are in memory, if there is such a place: tests that wait for the disk often need not wait for a busy one. */
export const memoryDirectory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A broker by a clock that stands still, on a machine that runs as long as that clock does. */
export function sqliteBroker(path: string, clock: FakeClock, options: Partial<SqliteBrokerOptions> = {}): SqliteBroker {
  return openSqliteBroker({
    path,
    clock,
    logger: silentLogger,
    durability: "full",
    logsMaxBytes: 128 * 1024 ** 2,
    logsMax: 10_000,
    idempotencyWindowMs: 10_000,
    uptime: () => ({ boot: "test", ms: clock.monotonicMs() }),
    ...options,
  });
}

/** Opens brokers for the contract of brokers. */
export function sqliteOpener(more: Partial<SqliteBrokerOptions> = {}): OpenBroker {
  return (options) => {
    const directory = scratchDirectory(memoryDirectory);
    const clock = new FakeClock();
    const opened: SqliteBroker[] = [];
    const make = () => {
      const broker = sqliteBroker(join(directory.path, "store.db"), clock, { ...options, ...more });
      opened.push(broker);
      return broker;
    };
    return Promise.resolve({
      broker: make(),
      clock,
      durable: true,
      restart: make,
      async close() {
        for (const broker of opened) await broker.stop();
        directory[Symbol.dispose]();
      },
    });
  };
}
