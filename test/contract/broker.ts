/**
 * What every broker must do, through the contract of `src/broker/broker.ts` alone. An implementation's test calls
 * `brokerContract` with a way to open one. Answers are awaited and the feed is waited for, so that brokers in another
 * process pass as they are; nothing here sleeps. Those whose feed may lose messages call `comparisonContract` too.
 */
import { describe } from "bun:test";
import { appendContract } from "./broker/append.ts";
import { feedContract } from "./broker/feed.ts";
import { historyContract } from "./broker/history.ts";
import { idempotencyContract } from "./broker/idempotency.ts";
import type { OpenBroker } from "./broker/kit.ts";
import { lifetimeContract } from "./broker/lifetime.ts";
import { modelContract } from "./broker/model.ts";
import { presenceContract } from "./broker/presence.ts";
import { trimmingContract } from "./broker/trimming.ts";

export { comparisonContract } from "./broker/comparison.ts";
export type { ContractClock, OpenBroker, OpenedBroker } from "./broker/kit.ts";

/** Registers the suite. `open` gives an empty broker that is not started, with room for at least 64 MiB and 1,000 logs. */
export function brokerContract(name: string, open: OpenBroker): void {
  describe(`${name} keeps the broker contract:`, () => {
    appendContract(open);
    feedContract(open);
    historyContract(open);
    trimmingContract(open);
    idempotencyContract(open);
    presenceContract(open);
    lifetimeContract(open);
    modelContract(open);
  });
}
