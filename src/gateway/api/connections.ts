/** `/v1/connections`: who is connected to this instance, and the end of a connection. */
import { createRoute, z } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { disconnects } from "../../core/codes.ts";
import { isSystemTag } from "../../core/tag.ts";
import type { Hub } from "../../hub/hub.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Registry } from "../../session/registry.ts";
import type { Connected } from "../../session/connected.ts";
import { answer, type Api, type RouteParts } from "./context.ts";
import { guardedIn, guardedProblems, listLimitSchema, result } from "./schemas.ts";

/** Patterns that the view of one connection lists. */
const patternsMax = 1000;

const connectionFields = {
  id: z.string().meta({ description: "Id of the session, as op 1 told it to the client" }),
  client: z.string(),
  generation: z.int().meta({ description: "Grows from connection to connection" }),
  subject: z.string(),
  tokenId: z.string().meta({ description: "Id of a managed token, or jwt: and the jti" }),
  transport: z.enum(["websocket", "sse"]),
  form: z.enum(["msgpack", "json"]),
  remoteAddress: z.string(),
  openedAtMs: z.int().meta({ description: "Milliseconds since 1970" }),
  expiresAtMs: z.int().nullable().meta({ description: "When its token expires" }),
  subscriptions: z.int(),
  bufferedBytes: z.int().meta({ description: "Sent, but not taken by the network yet" }),
};
const connectionSchema = z.object(connectionFields).meta({ id: "Connection" });
const detailSchema = z
  .object({
    ...connectionFields,
    patterns: z.array(z.string()).meta({ description: `What it is subscribed to: at most ${patternsMax}` }),
  })
  .meta({ id: "ConnectionDetail" });
const listSchema = z
  .object({
    connections: z.array(connectionSchema).meta({ description: "Oldest first" }),
    more: z.boolean().meta({ description: "Continue with after=GENERATION of the last one" }),
  })
  .meta({ id: "Connections" });

const idSchema = z
  .string()
  .meta({ description: "Id of the connection", example: "d3b07384-d9a0-4c9b-8f3e-1c2d3e4f5a6b" });
const common = guardedIn("Administration");

const listRoute = {
  ...common,
  method: "get",
  path: "/v1/connections",
  operationId: "listConnections",
  summary: "List the connections of this instance",
  description: "Those of the token's application. Needs the grant `admin` on `#`, as everything about connections.",
  request: {
    query: z.object({
      client: z.string().optional().meta({ description: "Only those with this client name" }),
      subject: z.string().optional().meta({ description: "Only those whose credential has this subject" }),
      after: z.coerce
        .number()
        .int()
        .min(0)
        .optional()
        .meta({ type: "integer", description: "Only those with a greater generation" }),
      limit: listLimitSchema,
    }),
  },
  responses: { 200: result(listSchema, "Connections"), ...guardedProblems() },
} as const;

const showRoute = {
  ...common,
  method: "get",
  path: "/v1/connections/{id}",
  operationId: "showConnection",
  summary: "Show one connection",
  request: { params: z.object({ id: idSchema }) },
  responses: { 200: result(detailSchema, "The connection"), ...guardedProblems(404) },
} as const;

const endRoute = {
  ...common,
  method: "delete",
  path: "/v1/connections/{id}",
  operationId: "endConnection",
  summary: "End a connection",
  description: "The client is told not to come back (3504), or with `reconnect` to connect anew (3008).",
  request: {
    params: z.object({ id: idSchema }),
    query: z.object({
      reconnect: z.stringbool().default(false).meta({ type: "boolean", description: "The client is to come back" }),
    }),
  },
  responses: { 204: { description: "It is ended" }, ...guardedProblems(404) },
} as const;

export function mountConnections(api: Api, parts: RouteParts): void {
  const { hub, registry, clock, log } = parts;
  const middleware = [parts.guard, parts.admin];

  api.openapi(createRoute({ ...listRoute, middleware }), (c) => {
    const { client, subject, after = 0, limit } = c.req.valid("query");
    const found: Connected[] = [];
    for (const session of registry.active(c.get("identity").app)) {
      if (session.generation <= after) continue;
      if (client !== undefined && session.client !== client) continue;
      if (subject !== undefined && session.identity.subject !== subject) continue;
      if (found.push(session) > limit) break;
    }
    const connections = found.slice(0, limit).map((session) => connectionOf(session, hub, clock));
    return answer(c, { connections, more: found.length > limit });
  });

  api.openapi(createRoute({ ...showRoute, middleware }), (c) => {
    const session = find(registry, c.get("identity").app, c.req.valid("param").id);
    const patterns = hub.subscriptionsOf(session).filter((pattern) => !isSystemTag(pattern));
    return answer(c, { ...connectionOf(session, hub, clock), patterns: patterns.slice(0, patternsMax) });
  });

  api.openapi(createRoute({ ...endRoute, middleware }), (c) => {
    const { app, subject } = c.get("identity");
    const session = find(registry, app, c.req.valid("param").id);
    log.info("connection ended by an administrator", { session: session.id, app, by: subject });
    session.end(c.req.valid("query").reconnect ? disconnects.reconnect : disconnects.removed);
    return c.body(null, 204);
  });
}

/** @throws HTTPException 404 */
function find(registry: Registry, app: string, id: string): Connected {
  for (const session of registry.active(app)) if (session.id === id) return session;
  throw new HTTPException(404, { message: "There is no such connection on this instance" });
}

function connectionOf(session: Connected, hub: Hub, clock: Clock) {
  const { id, client, generation, identity, transport, lane, remoteAddress } = session;
  return {
    id,
    client,
    generation,
    subject: identity.subject,
    tokenId: identity.tokenId,
    transport,
    form: lane,
    remoteAddress,
    openedAtMs: Math.round(clock.wallMs() - (clock.monotonicMs() - session.openedAtMs)),
    expiresAtMs: identity.expiresAtMs,
    subscriptions: hub.subscriptionsOf(session).length,
    bufferedBytes: session.bufferedBytes(),
  };
}
