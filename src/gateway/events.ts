/** `GET /events`: subscriptions as Server-Sent Events, for browsers and for `curl`. */
import type { Server } from "bun";
import { type Code, disconnects, errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { Logger } from "../core/logger.ts";
import { hasWildcard } from "../core/tag.ts";
import type { Registry } from "../session/registry.ts";
import { identify } from "./api/authenticate.ts";
import type { Admission, Place } from "./admission.ts";
import type { Client } from "./client-address.ts";
import { type Asking, askingOf, type Doorway } from "./doorway.ts";
import { eventIdLimits, readEventId } from "./event-ids.ts";
import { type EventsRequest, EventStream } from "./event-stream.ts";
import { problem, problemFor } from "./problem.ts";
import { assertInTime, logTooFast } from "./too-fast.ts";
import { namedPatterns } from "./upgrade.ts";

export interface EventsParts {
  readonly registry: Registry;
  readonly doorway: Doorway;
  readonly log: Logger;
  readonly admission: Pick<Admission, "admit" | "allow">;
}

const lastMax = 2 ** 32 - 1;
/** How long a client may take nothing of a stream that has ended. */
const hurrySeconds = 5;

/** Answers a request for the stream: with the stream once the hub has answered, or with a problem. */
export async function answerEvents(
  parts: EventsParts,
  request: Request,
  server: Pick<Server<unknown>, "timeout">,
  client: Client,
): Promise<Response> {
  const response = await answer(parts, request, server, client);
  parts.doorway.origins.expose(response.headers, request);
  return response;
}

async function answer(
  parts: EventsParts,
  request: Request,
  server: Pick<Server<unknown>, "timeout">,
  client: Client,
): Promise<Response> {
  const { method, headers } = request;
  if (method !== "GET") {
    return parts.admission.allow(client, headers) ?? (method === "OPTIONS" ? options() : wrongMethod());
  }
  const place = parts.admission.admit(client, headers);
  if (place instanceof Response) return place;
  try {
    return await openStream(parts, request, server, { place, asking: askingOf(request, client) });
  } catch (error) {
    place.release();
    if (!(error instanceof ProtocolError)) throw error;
    parts.registry.countError(error.code);
    logTooFast(parts.registry.rates, error, client.address);
    return problemFor(error);
  }
}

/** Keeps the place where it answers with a stream, until that has ended. @throws (rejects with) ProtocolError */
async function openStream(
  parts: EventsParts,
  request: Request,
  server: Pick<Server<unknown>, "timeout">,
  { place, asking }: { readonly place: Place; readonly asking: Asking },
): Promise<Response> {
  const { registry, doorway } = parts;
  const refuse = (status: number, { code, text }: Code): Response => {
    place.release();
    return problem(status, code, text);
  };
  const presented = doorway.presented(asking, true);
  if (presented === null) {
    throw new ProtocolError(errors.unauthenticated, doorway.absence(asking));
  }
  let identity = await identify(doorway, presented, asking, "event stream");
  const wanted = readRequest(request, identity);
  if (request.signal.aborted) throw new ProtocolError(errors.unavailable, "The client has gone");
  if (registry.draining) return refuse(503, disconnects.shutdown);
  const { rates } = registry;
  assertInTime(rates, identity, "connects", "subscribes");
  rates.charge(identity, { connects: 1, subscribes: wanted.patterns.length });
  const { connections } = registry.hub;
  const answer = connections.acquire(identity);
  if (!(await answer)) return refuse(429, disconnects.connectionLimit);
  if (answer instanceof Promise) {
    const first = identity;
    try {
      // Nobody knew yet that there would be a stream: what was revoked or edited meanwhile is to count.
      identity = await identify(doorway, presented, asking, "event stream");
      if (request.signal.aborted) throw new ProtocolError(errors.unavailable, "The client has gone");
    } catch (error) {
      connections.release(first);
      throw error;
    }
    connections.changed(first, identity);
  }
  const hurry = () => server.timeout(request, hurrySeconds);
  const { address: remoteAddress, headers } = asking;
  const reader = { remoteAddress, origin: headers.get("origin"), hurry, gone: () => place.release() };
  const stream = new EventStream(registry, identity, wanted, reader);
  request.signal.addEventListener("abort", () => stream.closed(), { once: true });
  const body = await stream.open();
  // A quiet stream is kept; one that is not read is ended by the hub.
  server.timeout(request, 0);
  const renewal = doorway.renewal(presented, asking);
  return new Response(body, {
    headers: {
      ...(renewal !== null && { "set-cookie": renewal }),
      "content-type": "text/event-stream",
      "cache-control": "no-store, no-transform",
      // The timeout belongs to the connection: no other request is to inherit it.
      connection: "close",
      // Proxies such as nginx would gather events otherwise.
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
    },
  });
}

/** @throws ProtocolError */
function readRequest(request: Request, identity: Identity): EventsRequest {
  const { headers, url } = request;
  const patterns = readPatterns(headers, url);
  const query = new URL(url).searchParams;
  const recover = readFlag(query.get("recover"), "recover");
  const continuable = new Set(recover ? patterns.filter((pattern) => mayReadPast(identity, pattern)) : []);
  const id = headers.get("last-event-id") || query.get("lastEventId") || null;
  return {
    patterns,
    last: readLast(query.get("last")),
    continuation: id === null || !recover ? null : readEventId(id, patterns),
    continuable,
  };
}

function readPatterns(headers: Headers, url: string): readonly string[] {
  let named: readonly string[] | null;
  try {
    named = namedPatterns(headers, url);
  } catch (cause) {
    throw new ProtocolError(errors.invalidPattern, "The tags are not percent-encoded UTF-8", { cause });
  }
  const patterns = [...new Set(named)];
  if (patterns.length === 0) {
    throw new ProtocolError(errors.badRequest, "Name what to listen to: /events?tags=a/b,c/%23");
  }
  if (patterns.length > eventIdLimits.patternsMax) {
    throw new ProtocolError(errors.limitExceeded, `One stream has at most ${eventIdLimits.patternsMax} patterns`);
  }
  return patterns;
}

function readLast(text: string | null): number | null {
  if (text === null) return null;
  const last = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (last < 1 || last > lastMax) throw new ProtocolError(errors.badRequest, `last is a number from 1 to ${lastMax}`);
  return last;
}

function readFlag(text: string | null, name: string): boolean {
  if (text === null || text === "true") return true;
  if (text === "false") return false;
  throw new ProtocolError(errors.badRequest, `${name} is true or false`);
}

function mayReadPast({ grants }: Identity, pattern: string): boolean {
  return hasWildcard(pattern) ? grants.allowsAll("history", pattern) : grants.allows("history", pattern);
}

function options(): Response {
  return new Response(null, { status: 204, headers: { allow: "GET, OPTIONS" } });
}

function wrongMethod(): Response {
  const response = problem(405, errors.badRequest.code, "Event streams are read by GET");
  response.headers.set("allow", "GET, OPTIONS");
  return response;
}
