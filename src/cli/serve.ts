/** `tagcast serve` */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { flagHelp } from "../config/docs.ts";
import type { Config } from "../config/config.ts";
import { isHost, isLoopback } from "../config/hosts.ts";
import { type ResolvedConfig, resolveConfig } from "../config/load.ts";
import { ConfigError } from "../config/problems.ts";
import { CertificateError } from "../gateway/certificates.ts";
import { systemClock } from "../lib/clock.ts";
import { createLogger } from "../observe/logger.ts";
import { openServer } from "../server.ts";
import type { RunningServer } from "../server.ts";
import { exitCodes, renderHelp, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { ownCommand } from "./own-command.ts";
import { Supervisor } from "./supervisor.ts";

const help = renderHelp({
  usage: ["serve [options]"],
  about:
    "Runs the server. With nothing configured it listens on this machine alone and makes an admin token for this run. " +
    "SIGTERM or SIGINT ends it in order: clients are told when to come back. A second signal ends it at once.",
  options: flagHelp().map(({ flag, help }) => [flag, help]),
  examples: [
    "serve --port 9000",
    "serve --config tagcast.toml",
    "serve --tokens tokens.json --host 0.0.0.0 --tls-cert rt.pem --tls-key rt.key",
  ],
});

export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const resolved = await resolveConfig({ argv, env: io.env });
  const given = resolved.config;
  const made = hasCredential(given) ? null : makeToken();
  const config = made === null ? given : { ...given, adminToken: made };
  const log = createLogger({ level: config.logLevel, format: config.logFormat });
  let server: RunningServer;
  try {
    server = await openServer(config, log);
  } catch (error) {
    if (error instanceof CertificateError) throw certificateProblem(error, resolved);
    io.err(`tagcast serve: ${await explain(error, config)}`);
    return exitCodes.failed;
  }
  // Before anybody hears that it is there: without a handler the signal ends the process.
  if (config.auditLog !== null) io.onHangup(() => server.reopenLogs());
  if (server.tlsNames !== null) io.onHangup(() => void server.reloadCertificates());
  io.out(welcome(config, server, made));
  log.info("listening", { host: server.host, port: server.port, roles: config.roles });
  const onTrouble = (error: Error): void => log.warn("service manager", { error });
  const supervisor = new Supervisor({ env: io.env, clock: systemClock, onTrouble });
  const reload = (): void => void supervisor.reload(() => server.reloadCertificates());
  if (server.tlsNames !== null || supervisor.isThere) io.onHangup(reload);
  supervisor.ready(`listens on ${server.host}, port ${server.port}`);
  await aborted(io.signal);
  supervisor.stopping(`takes leave of ${server.registry.size} connections`);
  log.info("shutting down", { signal: String(io.signal.reason), connections: server.registry.size });
  await server.stop(new AbortController().signal);
  supervisor.close();
  log.info("stopped");
  return exitCodes.ok;
}

/** A certificate that cannot be used, as every other problem of the configuration. */
export function certificateProblem({ option, message }: CertificateError, { origins }: ResolvedConfig): ConfigError {
  return new ConfigError([{ key: option, origin: origins.get(option) ?? "", message }]);
}

/** Redis, or what is beside a store, may hold tokens or not: on this machine alone a way in is offered, beyond it none is that nobody asked for. */
function hasCredential({ adminToken, tokens, store, redis, host, applications }: Config): boolean {
  const isStored = tokens !== null || ((store ?? redis) !== null && !isLoopback(host));
  return adminToken !== null || isStored || [...applications.values()].some(({ keys }) => keys.length > 0);
}

function makeToken(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url");
}

/** `made`: the admin token, where it was made for this run: nobody has it otherwise, and one that was configured is shown nowhere. */
function welcome(config: Config, { host, port, tlsNames }: RunningServer, made: string | null): string {
  const place = `${named(reachable(host), tlsNames)}:${port}`;
  const s = tlsNames === null ? "" : "s";
  const entered = config.roles.includes("gateway");
  const url = entered ? `ws${s}://${place}/ws` : `http${s}://${place}`;
  const first = `tagcast listens on ${url} (roles: ${config.roles.join(", ")}; health: http${s}://${place}/healthz)`;
  if (made === null) return first;
  const token = `Admin token of this run: ${made}`;
  if (!entered) return [first, token, ""].join("\n");
  const self = ownCommand();
  return [
    first,
    token,
    "",
    "A first message, in another terminal:",
    `  export TAGCAST_URL=${url} TAGCAST_TOKEN=${made}`,
    `  ${self} sub --count 1 'hello/#' & sleep 1`,
    `  ${self} pub hello/world 'It works'`,
    "",
  ].join("\n");
}

/** The host as a client on this machine names it in a URL. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

/** With TLS a name that a certificate holds, since clients check it: the address itself where it is one. */
function named(host: string, tlsNames: readonly string[] | null): string {
  if (tlsNames === null || tlsNames.includes(host)) return host;
  return tlsNames.find((name) => isHost(name) && !isIP(name)) ?? host;
}

async function explain(error: unknown, { host, port }: Config): Promise<string> {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  // Where a name has no address, the runtime's code is that of whatever failed before.
  const unknown = "syscall" in error && error.syscall === "listen" && !(await hasAddress(host));
  if (unknown || code === "EADDRNOTAVAIL")
    return `${host} is not an address of this machine: choose another with --host`;
  if (code === "EADDRINUSE")
    return `port ${port} on ${host} is in use: end what listens there, or choose another with --port`;
  if (code === "EACCES")
    return `port ${port} on ${host} is not permitted: ports below 1024 need privileges; choose another with --port`;
  return error.message;
}

async function hasAddress(host: string): Promise<boolean> {
  try {
    return (await lookup(host, { all: true })).length > 0;
  } catch {
    return false;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener("abort", () => done(), { once: true });
  });
}
