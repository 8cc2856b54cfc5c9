/** The composition root: names every concrete part, in the order in which they depend on one another. */
import examplesPage from "../examples/browser/index.html";
import manifest from "../package.json" with { type: "json" };
import { openAuthenticator } from "./auth/authenticator.ts";
import { openFileTokens } from "./auth/file-tokens.ts";
import { MemoryTokens } from "./auth/memory-tokens.ts";
import { openMemoryBroker } from "./broker/memory.ts";
import type { Config } from "./config/config.ts";
import type { Logger } from "./core/logger.ts";
import type { TokenStore } from "./core/token-store.ts";
import { createApi } from "./gateway/api/app.ts";
import { connectionBound } from "./gateway/descriptors.ts";
import { openGateway } from "./gateway/http.ts";
import { Pages } from "./gateway/pages.ts";
import { Hub } from "./hub/hub.ts";
import type { Clock } from "./lib/clock.ts";
import { systemClock } from "./lib/clock.ts";
import { openMetrics } from "./observe/metrics.ts";
import type { SessionOptions } from "./session/registry.ts";
import { Registry } from "./session/registry.ts";

export interface RunningServer {
  readonly host: string;
  readonly port: number;
  readonly hub: Hub;
  readonly registry: Registry;
  /**
   * Stops accepting, tells every client to come back later, and ends within `shutdownTimeoutMs`; `abort` ends it sooner.
   * What was acknowledged stays kept as far as the broker keeps anything.
   */
  stop(abort?: AbortSignal): Promise<void>;
}

/** Parts that tests replace. */
export interface ServerParts {
  readonly clock?: Clock;
}

/**
 * Starts a server; it accepts connections once this settles.
 * @throws where a key or the token file cannot be used, the port is taken, or too few file descriptors are allowed
 */
export async function openServer(config: Config, log: Logger, parts: ServerParts = {}): Promise<RunningServer> {
  const clock = parts.clock ?? systemClock;
  const connectionsMax = connectionBound(config.connectionsMax);
  // What was opened is closed in the opposite order, also where something further down cannot be opened.
  await using opening = new AsyncDisposableStack();
  const store = await openTokens(config, clock, log, opening);
  const authenticator = await openAuthenticator({
    applications: config.applications.values(),
    store,
    adminToken: config.adminToken,
    clock,
    logger: log,
    clockSkewMs: config.clockSkewMs,
  });
  opening.defer(() => authenticator.close());
  const broker = openMemoryBroker({ ...config, clock });
  const hub = new Hub({
    broker,
    clock,
    applications: new Map([...config.applications.values()].map(({ name, rules }) => [name, rules])),
    subscriptionsMax: config.subscriptionsMax,
    slowDeadlineMs: config.slowDeadlineMs,
    onTrouble: (error) => log.error("fault at the end of a turn", { error }),
  });
  await hub.start();
  opening.defer(() => hub.stop());
  const registry = new Registry({ hub, authenticator, clock, log, options: sessionOptions(config) });
  opening.defer(() => registry.close());
  const { version } = manifest;
  const metrics = openMetrics({ hub, registry, broker: () => broker.stats(), version }, clock);
  opening.defer(() => metrics.close());
  const served = { ...config, hub, registry, authenticator, clock, log };
  const api = createApi({ ...served, tokens: store, metrics, version });
  const examples = new Pages("/examples/", examplesPage);
  const gateway = openGateway({ ...served, api, examples, connectionsMax });
  opening.defer(() => gateway.close());
  const opened = opening.move();
  return {
    host: gateway.host,
    port: gateway.port,
    hub,
    registry,
    async stop(abort = AbortSignal.abort()) {
      gateway.stopAccepting();
      await registry.drain(config.shutdownTimeoutMs, abort);
      await opened.disposeAsync();
    },
  };
}

/** Managed tokens in their file, or in memory alone. */
async function openTokens(
  { tokens: path }: Config,
  clock: Clock,
  logger: Logger,
  opening: AsyncDisposableStack,
): Promise<TokenStore> {
  if (path === null) return new MemoryTokens(clock);
  const store = await openFileTokens({ path, clock, logger });
  opening.defer(() => store.close());
  return store;
}

function sessionOptions(config: Config): SessionOptions {
  return {
    payloadMaxBytes: config.payloadMaxBytes,
    depthMax: config.depthMax,
    authenticationDeadlineMs: config.authenticationDeadlineMs,
    pingSeconds: Math.round(config.pingIntervalMs / 1000),
    server: `tagcast/${manifest.version}`,
  };
}
