/** The one port: WebSocket upgrades, health for whoever watches the process, pages, and the HTTP API for the rest. */
import type { Server } from "bun";
import { AuthenticationError } from "../core/authenticator.ts";
import { disconnects, errors } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import type { Logger } from "../core/logger.ts";
import type { Role } from "../core/role.ts";
import type { Hub } from "../hub/hub.ts";
import type { NativeServer } from "../hub/subscriber.ts";
import type { Clock } from "../lib/clock.ts";
import { printable } from "../lib/printable.ts";
import type { BridgeNumbers } from "../observe/bridge-metrics.ts";
import type { StoreNumbers } from "../observe/store-metrics.ts";
import type { Registry } from "../session/registry.ts";
import { subprotocols } from "../wire/messages.ts";
import type { Admission, Place } from "./admission.ts";
import type { TlsOptions } from "./certificates.ts";
import { type Client, clientAt, type TrustedProxies } from "./client-address.ts";
import { type Asking, askingOf, type Doorway, type Presented } from "./doorway.ts";
import type { Encryption } from "./encryption.ts";
import { answerEvents } from "./events.ts";
import { PortListener, type Served } from "./listener.ts";
import type { Pages } from "./pages.ts";
import { problem, refusalOf } from "./problem.ts";
import { chooseLane, namedMax, namedPatterns } from "./upgrade.ts";
import type { Entry, SocketData } from "./websocket.ts";
import { BunTopics, webSocketHandler } from "./websocket.ts";

export interface GatewayParts {
  readonly hub: Hub;
  readonly registry: Registry;
  readonly doorway: Doorway;
  readonly clock: Clock;
  readonly log: Logger;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Let other processes listen on the same port. */
  readonly reusePort: boolean;
  /** Null: without TLS. */
  readonly tls: TlsOptions | null;
  readonly roles: readonly Role[];
  /** What the broker says of its connection; null: it has none. */
  readonly bridge: (() => BridgeNumbers) | null;
  /** What it says of its store; null: it has none. */
  readonly store: (() => StoreNumbers) | null;
  readonly compression: boolean;
  readonly payloadMaxBytes: number;
  readonly admission: Admission;
  readonly trustedProxies: TrustedProxies;
  readonly encryption: Encryption;
  /** Static, without a credential. */
  readonly examples: Pages;
  /** Answers what no other part does. */
  readonly api: {
    fetch(request: Request, from: { readonly client: Client }): Response | Promise<Response>;
  };
  /** Serve `/echo`, which gives back raw frames with the same options. */
  readonly echoForTests: boolean;
}

export interface Gateway {
  readonly host: string;
  readonly port: number;
  /** What listens on the port now, and what did before. */
  readonly listener: PortListener;
  /** Refuses new connections from now on; established ones live on. */
  stopAccepting(): void;
  /** Ends what is left. */
  close(): Promise<void>;
}

/**
 * Seconds without a byte either way after which the runtime closes a connection that has had a request, without a word.
 * Longer than any body may take, since who is too slow is to hear so from the route, and than proxies keep theirs. For
 * the head of its first request a connection has 10 to 12 seconds whatever is set here, and whatever drips in meanwhile.
 */
const httpIdleSeconds = 120;

/** Clients of a server that listens no more come back at a random time within this. */
const disperseMs = 2000;

/** Starts to listen. @throws where the port is in use or not permitted, or the certificates cannot be used */
export function openGateway(parts: GatewayParts): Gateway {
  const state: GatewayState = { stopping: false };
  const listener = new PortListener({
    ...parts,
    start: (port, tls) => serve(parts, state, port, tls),
    disperse: (topics) => disperse(parts.registry, topics),
  });
  return {
    host: parts.host,
    port: listener.port,
    listener,
    stopAccepting() {
      state.stopping = true;
      listener.stop();
    },
    close: () => listener.close(),
  };
}

interface GatewayState {
  stopping: boolean;
}

function serve(parts: GatewayParts, state: GatewayState, port: number, tls: TlsOptions | null): Served {
  const server: Server<SocketData> = Bun.serve<SocketData>({
    hostname: parts.host,
    port,
    ...(tls === null ? {} : { tls: [...tls] }),
    development: false,
    // Without a word about it, Bun shares the port with other processes where it is not in development.
    reusePort: parts.reusePort,
    // Each route bounds what it reads, and says so in its own words. What is not read is not kept either.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    idleTimeout: httpIdleSeconds,
    websocket: webSocketHandler({ ...parts, topics: () => topics }),
    fetch: (request, server) => answer(parts, request, server, { stopping: state.stopping, byTls: tls !== null }),
    error(error) {
      parts.log.error("request failed", { error });
      return problem(500, errors.internal.code, errors.internal.text);
    },
  });
  const topics = new BunTopics(server, parts.compression, parts.hub.distributor);
  return { server, topics };
}

function disperse(registry: Registry, topics: NativeServer): void {
  for (const session of registry) {
    if (session.transport !== "websocket" || session.native.server !== topics || session.closing) continue;
    session.end(disconnects.reconnect, Math.floor(Math.random() * disperseMs));
  }
}

type Answer = Response | undefined | Promise<Response | undefined>;

interface At {
  readonly stopping: boolean;
  /** Whether the server speaks TLS itself. */
  readonly byTls: boolean;
}

function answer(parts: GatewayParts, request: Request, server: Server<SocketData>, at: At): Answer {
  const told = clientAt(request, server, parts.trustedProxies);
  // What a trusted proxy says of its client counts more than how it speaks to us, and what the request names for nothing.
  const secure = told.secure ?? at.byTls;
  const client = { address: told.address, secure };
  const path = pathOf(request.url);
  const health = path === "/healthz" || path === "/readyz";
  const refusal = parts.encryption.refuse(client, secure, health);
  const upgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  const asked = { request, path, upgrade };
  return parts.encryption.seal(refusal ?? route(parts, asked, server, { client, stopping: at.stopping }), secure);
}

function route(
  parts: GatewayParts,
  asked: Asked,
  server: Server<SocketData>,
  { client, stopping }: { readonly client: Client; readonly stopping: boolean },
): Answer {
  const { request, path, upgrade } = asked;
  if (path === "/healthz") return onlyRead(request) ?? text(200, "ok");
  if (path === "/readyz") return onlyRead(request) ?? readiness(parts, stopping);
  if (request.url.startsWith("/")) return problem(400, errors.badRequest.code, "The request does not name its host");
  const role = roleFor(path, upgrade);
  if (role !== null && !parts.roles.includes(role)) return elsewhere(role);
  if (upgrade && (path === "/ws" || path === "/")) return enter(parts, request, server, client);
  if (path === "/events") return answerEvents(parts, request, server, client);
  return parts.admission.allow(client, request.headers) ?? answerPlain(parts, asked, server, client);
}

interface Asked {
  readonly request: Request;
  readonly path: string;
  readonly upgrade: boolean;
}

/** What needs neither a socket nor a stream, and has passed the limits of its address. */
function answerPlain(
  parts: GatewayParts,
  { request, path, upgrade }: Asked,
  server: Server<SocketData>,
  client: Client,
): Answer {
  if (path === "/ws") return needsUpgrade();
  if (path === "/echo" && parts.echoForTests && upgrade) return echo(request, server);
  if (parts.examples.owns(path)) return parts.examples.answer(request, path);
  if (path === "/")
    return onlyRead(request) ?? text(200, `tagcast: ${parts.roles.map((name) => entrances[name]).join(", ")}`);
  // The runtime answers HEAD from a GET, with the length that a body would have.
  const asked = request.method === "HEAD" ? new Request(request, { method: "GET" }) : request;
  return parts.api.fetch(asked, { client });
}

/** Whether requests are served, and the state of what joins a cluster, or keeps the logs. */
function readiness({ hub, bridge, store }: GatewayParts, stopping: boolean): Response {
  const ready = !stopping && hub.ready();
  const lines = [ready ? "ready" : "not ready"];
  if (bridge !== null) {
    const { connected, lagMs, pendingBytes, reconnects, refused, unrelayed } = bridge();
    lines.push(
      `redis: ${connected ? "connected" : "away"}; lag ${lagMs.toFixed(1)} ms, pending ${pendingBytes} bytes, ` +
        `reconnects ${reconnects}, messages refused ${refused}, messages dropped ${unrelayed}`,
    );
  }
  const trouble = store?.().trouble ?? null;
  if (trouble !== null) lines.push(`store: ${printable(trouble)}`);
  return text(ready ? 200 : 503, lines.join("\n"));
}

/** What people are told at the root. */
const entrances: Readonly<Record<Role, string>> = {
  gateway: "connect by WebSocket at /ws",
  api: "the HTTP API is described at /docs",
};

/** The role that a request needs beside those for health; null: every instance answers it. */
function roleFor(path: string, upgrade: boolean): Role | null {
  if (upgrade || path === "/ws" || path === "/events") return "gateway";
  return path === "/" || path === "/metrics" ? null : "api";
}

function elsewhere(role: Role): Response {
  return problem(404, errors.badRequest.code, `This instance does not have the role ${role}`);
}

/** Finds room for the connection, and gives it up again where there comes to be none. */
function enter(parts: GatewayParts, request: Request, server: Server<SocketData>, client: Client): Answer {
  const place = parts.admission.admit(client, request.headers);
  if (place instanceof Response) return place;
  const settled = (response: Response | undefined): Response | undefined => {
    if (response !== undefined) place.release();
    return response;
  };
  const answer = upgrade(parts, request, server, { place, asking: askingOf(request, client) });
  return answer instanceof Promise ? answer.then(settled) : settled(answer);
}

/** Upgrades to a session, once the credential, if there is one, is known to be good. */
function upgrade(
  parts: GatewayParts,
  request: Request,
  server: Server<SocketData>,
  { place, asking }: { readonly place: Place; readonly asking: Asking },
): Answer {
  const { headers, address: remoteAddress } = asking;
  const refusal = parts.doorway.refusal(asking);
  if (refusal !== null) return refusal;
  const chosen = chooseLane(headers.get("sec-websocket-protocol"));
  if (chosen === null) {
    const known = Object.values(subprotocols).join(" and ");
    return problem(400, errors.badRequest.code, `None of the offered subprotocols is known: there are ${known}`);
  }
  let tags: string[] | null;
  try {
    tags = namedPatterns(headers, request.url);
  } catch {
    return problem(400, errors.invalidPattern.code, "The tags are not percent-encoded UTF-8");
  }
  if (tags !== null && tags.length > namedMax) return tooManyNamed();
  const known = (identity: Identity | null, cookie: string | null): Response | undefined => {
    const origin = headers.get("origin");
    const entry: Entry = { lane: chosen.lane, identity, tags, remoteAddress, origin };
    const upgraded = server.upgrade(request, {
      data: { entry, place, session: null, connection: null },
      headers: { "sec-websocket-protocol": chosen.protocol, ...(cookie !== null && { "set-cookie": cookie }) },
    });
    return upgraded ? undefined : needsUpgrade();
  };
  const presented = parts.doorway.presented(asking);
  return presented === null ? known(null, null) : authenticate(parts.doorway, presented, asking, known);
}

/** A page whose login is over comes in without an identity: of a refused upgrade browsers do not tell it why. */
function authenticate(
  doorway: Doorway,
  presented: Presented,
  asking: Asking,
  known: (identity: Identity | null, cookie: string | null) => Response | undefined,
): Answer {
  const admitted = (identity: Identity) => known(identity, doorway.renewal(presented, asking));
  const refused = (reason: unknown): Response | undefined => {
    const cookie = doorway.ending(presented, asking, reason);
    if (cookie !== null) return known(null, cookie);
    if (reason instanceof AuthenticationError) return refusalOf(reason);
    throw reason;
  };
  let identity: Identity | Promise<Identity>;
  try {
    identity = doorway.identify(presented, asking, "upgrade");
  } catch (reason) {
    return refused(reason);
  }
  return identity instanceof Promise ? identity.then(admitted, refused) : admitted(identity);
}

function echo(request: Request, server: Server<SocketData>): Response | undefined {
  const headers = { "sec-websocket-protocol": "" };
  return server.upgrade(request, { data: { entry: null, place: null, session: null, connection: null }, headers })
    ? undefined
    : needsUpgrade();
}

/** What is said to other methods than those that read; null: it is one of these. */
function onlyRead({ method }: Request): Response | null {
  if (method === "GET" || method === "HEAD") return null;
  const allow = "GET, HEAD, OPTIONS";
  if (method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
  const response = problem(405, errors.badRequest.code, `This path takes ${allow}`);
  response.headers.set("allow", allow);
  return response;
}

function tooManyNamed(): Response {
  const detail = `At most ${namedMax} patterns can be named at the upgrade: subscribe to more by op 2`;
  return problem(400, errors.badRequest.code, detail);
}

function needsUpgrade(): Response {
  const response = problem(426, errors.badRequest.code, "This endpoint speaks WebSocket (RFC 6455, version 13)");
  response.headers.set("upgrade", "websocket");
  response.headers.set("sec-websocket-version", "13");
  return response;
}

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

/** The path of a URL, without the cost of parsing all of it. Without a host it begins with the path, as HTTP/1.0 allows. */
function pathOf(url: string): string {
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("//") + 2);
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}
