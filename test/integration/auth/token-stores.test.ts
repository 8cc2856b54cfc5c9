/** The stores of one machine keep the contract of token stores: in memory, and in a file that two processes may have open. */
import { join } from "node:path";
import { openFileTokens } from "../../../src/auth/file-tokens.ts";
import { MemoryTokens } from "../../../src/auth/memory-tokens.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { tokenStoreContract } from "../../contract/tokens.ts";
import { scratchDirectory } from "../../harness/server.ts";

tokenStoreContract("The store in memory", () => {
  const store = new MemoryTokens(systemClock);
  return Promise.resolve({ one: store, other: store, settle: async () => {}, close: async () => {} });
});

tokenStoreContract("The store in a file", async () => {
  const directory = scratchDirectory();
  const options = {
    path: join(directory.path, "tokens.json"),
    clock: systemClock,
    logger: silentLogger,
    follow: false,
  };
  const one = await openFileTokens(options);
  const other = await openFileTokens(options);
  return {
    one,
    other,
    async settle() {
      other.check();
      await other.settled();
    },
    async close() {
      await Promise.all([one.close(), other.close()]);
      directory[Symbol.dispose]();
    },
  };
});
