/** `/v1/connections`: who is connected, to whichever instance, and the end of a connection. */
import { createRoute, z } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { answer, type Api, type RouteParts } from "./context.ts";
import { connectionFields, Directory, patternsMax } from "./directory.ts";
import { guardedIn, guardedProblems, listLimitSchema, result } from "./schemas.ts";

const unansweredSchema = z
  .array(z.string())
  .optional()
  .meta({ description: "Ids of instances that did not answer in time; absent where all did" });
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
    unanswered: unansweredSchema,
  })
  .meta({ id: "Connections" });
const pendingSchema = z
  .object({ unanswered: z.array(z.string()).meta({ description: "Ids of the instances that have not answered yet" }) })
  .meta({ id: "PendingEnd" });

const endedSchema = z
  .object({
    ended: z.int().meta({ description: "How many, as far as instances answered" }),
    unanswered: unansweredSchema,
  })
  .meta({ id: "EndedConnections" });
const reconnectSchema = z
  .stringbool()
  .default(false)
  .meta({ type: "boolean", description: "The client is to come back" });

const idSchema = z
  .string()
  .meta({ description: "Id of the connection", example: "d3b07384-d9a0-4c9b-8f3e-1c2d3e4f5a6b" });
const common = guardedIn("Administration");

const listRoute = {
  ...common,
  method: "get",
  path: "/v1/connections",
  operationId: "listConnections",
  summary: "List connections",
  description:
    "Those of the token's application, of all instances in a cluster. Needs the grant `admin` on `#`, as everything about connections.",
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
      reconnect: reconnectSchema,
    }),
  },
  responses: {
    202: result(pendingSchema, "Not found yet, and some instances did not answer: those end it when they hear of it"),
    204: { description: "It is ended" },
    ...guardedProblems(404),
  },
} as const;

const endAllRoute = {
  ...common,
  method: "delete",
  path: "/v1/connections",
  operationId: "endConnections",
  summary: "End all connections of a subject",
  description:
    "All that match everything named. Each client is told not to come back (3504), or with `reconnect` to connect anew (3008).",
  request: {
    query: z.object({
      subject: z.string().meta({ description: "Those whose credential has this subject", example: "ann" }),
      client: z.string().optional().meta({ description: "Only those with this client name" }),
      login: z.string().optional().meta({ description: "Only those that this login let in" }),
      reconnect: reconnectSchema,
    }),
  },
  responses: { 200: result(endedSchema, "They are ended"), ...guardedProblems() },
} as const;

export function mountConnections(api: Api, parts: RouteParts): void {
  const directory = new Directory(parts);
  const middleware = [parts.guard, parts.admin];

  api.openapi(createRoute({ ...listRoute, middleware }), async (c) => {
    const { client, subject, after = 0, limit } = c.req.valid("query");
    const { app } = c.get("identity");
    const { connections, more, unanswered } = await directory.list({ app, client, subject, after, limit });
    return answer(c, { connections, more, ...(unanswered.length > 0 && { unanswered }) });
  });

  api.openapi(createRoute({ ...showRoute, middleware }), async (c) => {
    const { found, unanswered } = await directory.show(c.get("identity").app, c.req.valid("param").id);
    if (found !== null) return answer(c, found);
    if (unanswered.length === 0) throw unknown();
    throw new ProtocolError(errors.unavailable, `Not found; no answer from ${unanswered.join(", ")}`);
  });

  api.openapi(createRoute({ ...endRoute, middleware }), async (c) => {
    const { app, subject: by } = c.get("identity");
    const { id } = c.req.valid("param");
    const { ended, unanswered } = await directory.end({ app, id, by, reconnect: c.req.valid("query").reconnect });
    if (ended) return c.body(null, 204);
    if (unanswered.length === 0) throw unknown();
    return answer(c, { unanswered }, 202);
  });

  api.openapi(createRoute({ ...endAllRoute, middleware }), async (c) => {
    const { app, subject: by } = c.get("identity");
    const { client, subject, login, reconnect } = c.req.valid("query");
    c.set("audited", { detail: c.req.valid("query") });
    const { ended, unanswered } = await directory.endAll({ app, client, subject, login, reconnect, by });
    return answer(c, { ended, ...(unanswered.length > 0 && { unanswered }) });
  });
}

function unknown(): HTTPException {
  return new HTTPException(404, { message: "There is no such connection" });
}
