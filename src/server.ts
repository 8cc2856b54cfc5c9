/** The composition root: names every concrete part, in the order in which they depend on one another. */
import { hostname } from "node:os";
import examplesPage from "../examples/browser/index.html";
import manifest from "../package.json" with { type: "json" };
import { openAuthenticator, type TokenAuthenticator } from "./auth/authenticator.ts";
import { openFileTokens, tokensBeside } from "./auth/file-tokens.ts";
import { type LoginOptions, TicketLogins } from "./auth/logins.ts";
import { MemoryTokens } from "./auth/memory-tokens.ts";
import { entriesBetween } from "./auth/token-audit.ts";
import type { TokenState } from "./auth/token-state.ts";
import { SharedTokens } from "./auth/shared-tokens.ts";
import type { Broker } from "./broker/broker.ts";
import { type MemoryBroker, openMemoryBroker } from "./broker/memory.ts";
import { openRedisBroker, type RedisBroker } from "./broker/redis.ts";
import { openSqliteBroker, type SqliteBroker } from "./broker/sqlite.ts";
import type { Config } from "./config/config.ts";
import { inForce } from "./config/options.ts";
import type { Audit } from "./core/audit.ts";
import type { Logins } from "./core/authenticator.ts";
import type { Logger } from "./core/logger.ts";
import type { InstanceFigures } from "./core/shared.ts";
import type { TokenStore } from "./core/token-store.ts";
import { Admission } from "./gateway/admission.ts";
import { createApi } from "./gateway/api/app.ts";
import { isLoopbackAddress, limitKey, trustedProxies } from "./gateway/client-address.ts";
import { Bodies } from "./gateway/api/body.ts";
import { openCertificateKeeper, type CertificateKeeper } from "./gateway/certificate-keeper.ts";
import { DescriptorGuard, descriptorMarks } from "./gateway/descriptor-guard.ts";
import { connectionBound, descriptorLimit } from "./gateway/descriptors.ts";
import { Doorway } from "./gateway/doorway.ts";
import { Encryption } from "./gateway/encryption.ts";
import { type Gateway, type GatewayParts, openGateway } from "./gateway/http.ts";
import { Origins } from "./gateway/origins.ts";
import { Pages } from "./gateway/pages.ts";
import { Hub } from "./hub/hub.ts";
import type { Clock } from "./lib/clock.ts";
import { systemClock } from "./lib/clock.ts";
import { openAudit } from "./observe/audit.ts";
import { LoadMeter } from "./observe/load.ts";
import { type MetricSources, openMetrics } from "./observe/metrics.ts";
import { Guesses } from "./session/guesses.ts";
import type { SessionOptions } from "./session/registry.ts";
import { Registry } from "./session/registry.ts";

export interface RunningServer {
  readonly host: string;
  readonly port: number;
  readonly hub: Hub;
  readonly registry: Registry;
  /** Files of logs are opened anew by their names. */
  reopenLogs(): void;
  /** Names that the certificates hold; null: without TLS. */
  readonly tlsNames: readonly string[] | null;
  /** Takes up what the files of the certificates hold now; settles once that is done, or refused and logged. */
  reloadCertificates(): Promise<void>;
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
 * @throws where a key, a certificate (`CertificateError`) or the token file cannot be used, the port is taken, or too few file
 * descriptors are allowed
 */
export async function openServer(given: Config, log: Logger, parts: ServerParts = {}): Promise<RunningServer> {
  const config = inForce(given);
  const clock = parts.clock ?? systemClock;
  const connectionsMax = connectionBound(config.connectionsMax);
  // What was opened is closed in the opposite order, also where something further down cannot be opened.
  await using opening = new AsyncDisposableStack();
  const audit = openAudit({ path: config.auditLog, log });
  opening.defer(() => audit.close());
  const port = await openPort(config, { clock, log }, opening);
  const broker = openBroker(config, clock, log);
  const store = await openTokens(config, broker, { clock, logger: log, audit }, opening);
  const applications = config.applications.values();
  const authenticator = await openAuthenticator({ ...config, applications, store, clock, logger: log });
  opening.defer(() => authenticator.close());
  const hub = createHub(config, broker, { clock, log });
  await hub.start();
  opening.defer(() => hub.stop());
  const guesses = createGuesses(config, clock);
  const registry = new Registry({ hub, authenticator, clock, log, guesses, options: sessionOptions(config) });
  opening.defer(() => registry.close());
  const { version } = manifest;
  const numbers = numbersOf(broker);
  const proxies = trustedProxies(config.trustedProxies);
  const admission = new Admission({ ...config, connectionsMax, trustedProxies: proxies, clock, log });
  opening.defer(() => admission.close());
  const doorway = createDoorway(config, registry, { authenticator, store });
  opening.defer(() => doorway.close());
  const bodies = new Bodies({ ...config, clock, log });
  const metrics = openMetrics(
    { hub, registry, admission, doorway, audit, port, authenticator, bodies, ...numbers, version },
    clock,
  );
  opening.defer(() => metrics.close());
  const common = { hub, registry, doorway, audit, clock, log };
  const states = { bridge: numbers.bridge, store: numbers.store?.numbers ?? null };
  const served = { ...config, ...common, ...states, trustedProxies: proxies };
  const control = broker.shared?.control ?? null;
  const api = createApi({ ...served, tokens: store, bodies, metrics, control, version });
  const examples = new Pages("/examples/", examplesPage);
  const gateway = listen(port, { ...served, api, examples, admission });
  opening.defer(() => gateway.close());
  broker.shared?.describe(figures({ config, gateway, hub, registry, clock }));
  const opened = opening.move();
  return {
    host: gateway.host,
    port: gateway.port,
    hub,
    registry,
    ...encrypted(port, audit),
    reopenLogs: () => audit.reopen(),
    async stop(abort = AbortSignal.abort()) {
      audit.note({ action: "server.stop", ...bySelf });
      gateway.stopAccepting();
      await registry.drain(config.shutdownTimeoutMs, abort);
      await opened.disposeAsync();
    },
  };
}

/** What the process does as its supervisor or a signal told it. */
const bySelf = { result: "done", by: "server", from: null } as const;

interface PortParts {
  readonly descriptors: DescriptorGuard;
  readonly certificates: CertificateKeeper | null;
  readonly encryption: Encryption;
}

/** What looks after the port, once there is one. */
async function openPort(
  config: Config,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  opening: AsyncDisposableStack,
): Promise<PortParts> {
  const limit = descriptorLimit();
  const marks = descriptorMarks(config.descriptorsMax, limit);
  const descriptors = new DescriptorGuard({ marks, limit, clock, log });
  opening.defer(() => descriptors.close());
  const certificates =
    config.tlsCert.length === 0 ? null : await openCertificateKeeper({ sources: config, clock, log });
  opening.defer(() => certificates?.close());
  const encryption = new Encryption({ ...config, clock, log });
  opening.defer(() => encryption.close());
  return { descriptors, certificates, encryption };
}

/** The port, looked after. */
function listen(
  { descriptors, certificates, encryption }: PortParts,
  { audit, ...parts }: Omit<GatewayParts, "tls" | "encryption"> & { readonly audit: Audit },
): Gateway {
  const gateway = openGateway({ ...parts, encryption, tls: certificates?.tls ?? null });
  descriptors.guard(gateway.listener);
  certificates?.follow((tls) => gateway.listener.use(tls));
  const detail = { version: manifest.version, host: gateway.host, port: gateway.port };
  audit.note({ action: "server.start", ...bySelf, detail });
  return gateway;
}

function encrypted({ certificates }: PortParts, audit: Audit): Pick<RunningServer, "tlsNames" | "reloadCertificates"> {
  return {
    tlsNames: certificates?.certificates.flatMap(({ names }) => names) ?? null,
    async reloadCertificates() {
      audit.note({ action: "certificates.reload", ...bySelf });
      await certificates?.reload();
    },
  };
}

function createHub(
  config: Config,
  broker: Broker,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Hub {
  return new Hub({
    ...config,
    broker,
    clock,
    applications: new Map([...config.applications.values()].map(({ name, rules }) => [name, rules])),
    onTrouble: (error) => log.error("fault at the end of a turn", { error }),
  });
}

/** What says which credentials of requests count, and which pages may come in. */
function createDoorway(
  config: Config,
  { credentials, clock, log }: Registry,
  parts: Pick<LoginOptions, "store"> & { readonly authenticator: TokenAuthenticator },
): Doorway {
  const origins = new Origins(config.allowedOrigins);
  const logins = createLogins(config, { ...parts, clock });
  return new Doorway({ ...parts, origins, logins, credentials, clock, log });
}

/** Null: there are none. Instances that do not share a key would not know each other's. */
function createLogins(
  { loginTtlMs: ttlMs, loginMaxMs: maxMs, loginKey: key, redis }: Config,
  parts: Pick<LoginOptions, "authenticator" | "store" | "clock">,
): Logins | null {
  return ttlMs === 0 || (redis !== null && key === null) ? null : new TicketLogins({ ...parts, key, ttlMs, maxMs });
}

/** What slows down who guesses tokens, by address. Behind a proxy on this machine everybody has an address of this machine. */
function createGuesses(
  { authenticationFailuresMax: perMinute, trustedProxies: proxies, ipv6Prefix, addressesMax: sourcesMax }: Config,
  clock: Clock,
): Guesses {
  const isExempt = (address: string) => proxies.length === 0 && isLoopbackAddress(address);
  const sourceOf = (address: string) => (isExempt(address) ? null : limitKey(address, ipv6Prefix));
  return new Guesses({ clock, perMinute, sourcesMax, sourceOf });
}

type AnyBroker = MemoryBroker | SqliteBroker | RedisBroker;

/** Logs and members in Redis, shared with other instances; logs on disk; or everything in memory. */
function openBroker(config: Config, clock: Clock, logger: Logger): AnyBroker {
  const { redis: url, store: path } = config;
  if (url !== null) return openRedisBroker({ ...config, url, clock, logger });
  if (path !== null) return openSqliteBroker({ ...config, path, clock, logger });
  return openMemoryBroker({ ...config, clock });
}

/** Managed tokens in what instances share, in a file, or in memory alone. */
async function openTokens(
  { tokens, store }: Config,
  { shared }: Broker,
  { audit, ...parts }: { readonly clock: Clock; readonly logger: Logger; readonly audit: Audit },
  opening: AsyncDisposableStack,
): Promise<TokenStore> {
  if (shared !== undefined) return new SharedTokens({ ...parts, ledger: shared.ledger });
  const path = store === null ? tokens : tokensBeside(store);
  if (path === null) return new MemoryTokens(parts.clock);
  const onForeignEdit = (before: TokenState, after: TokenState) => {
    for (const entry of entriesBetween(before, after)) audit.note(entry);
  };
  const file = await openFileTokens({ path, onForeignEdit, ...parts });
  opening.defer(() => file.close());
  return file;
}

/** What the broker counts, for metrics. */
function numbersOf(broker: AnyBroker): Pick<MetricSources, "broker" | "bridge" | "store"> {
  const numbers = { broker: () => broker.stats(), bridge: null, store: null };
  if ("commitSeconds" in broker) {
    const { commitSeconds } = broker;
    return { ...numbers, store: { numbers: () => broker.stats().store, commitSeconds } };
  }
  return "bridge" in broker.stats() ? { ...numbers, bridge: () => (broker as RedisBroker).stats().bridge } : numbers;
}

interface Described {
  readonly config: Config;
  readonly gateway: Gateway;
  readonly hub: Hub;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** What this instance tells the others of itself. */
function figures({ config, gateway, hub, registry, clock }: Described): () => InstanceFigures {
  const startedAtMs = clock.wallMs();
  const load = new LoadMeter(clock, () => ({
    messages: hub.publishing.counts.messages,
    deliveries: delivered(hub.distributor) + delivered(hub.sinks) + registry.traffic.sse.json.messagesOut,
  }));
  // An address that stands for all of this machine's says nothing elsewhere.
  const host = gateway.host === "0.0.0.0" || gateway.host === "::" ? hostname() : gateway.host;
  const { port } = gateway;
  const { roles } = config;
  return () => ({
    ...{ host, port, roles, startedAtMs, version: manifest.version, connections: registry.size },
    ...load.read(),
  });
}

function delivered({
  delivered: { msgpack, json },
}: {
  readonly delivered: Record<"msgpack" | "json", number>;
}): number {
  return msgpack + json;
}

function sessionOptions(config: Config): SessionOptions {
  return {
    payloadMaxBytes: config.payloadMaxBytes,
    depthMax: config.depthMax,
    authenticationDeadlineMs: config.authenticationDeadlineMs,
    pingSeconds: Math.round(config.pingIntervalMs / 1000),
    server: `tagcast/${manifest.version}`,
    requestsMax: config.requestsMax,
    heldMaxBytes: config.heldMaxBytes,
    unreadMaxBytes: config.unreadMaxBytes,
    rates: config,
  };
}
