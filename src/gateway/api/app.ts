/** The HTTP API: puts its routes together, and answers what no route does: errors, other methods, other paths. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { HTTPException } from "hono/http-exception";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { TokenStoreError } from "../../core/token-store.ts";
import { problem, problemFor, problemOf } from "../problem.ts";
import type { Origins } from "../origins.ts";
import { logTooFast } from "../too-fast.ts";
import { adminGuard, createGuard } from "./authenticate.ts";
import { mountAudit } from "./audit.ts";
import { mountConnections } from "./connections.ts";
import type { Api, ApiEnv, ApiParts, Guard } from "./context.ts";
import { mountDocument } from "./document.ts";
import { mountHistory } from "./history.ts";
import { mountLogin } from "./login.ts";
import { mountMetrics } from "./metrics.ts";
import { mountPresence } from "./presence.ts";
import { mountPublish } from "./publish.ts";
import { refusal } from "./schemas.ts";
import { mountRevocations } from "./revocations.ts";
import { mountTags } from "./tags.ts";
import { mountTokens } from "./tokens.ts";
import { mountViewer } from "./viewer.ts";

/** Its `fetch` answers every request that is not for another part of the gateway. */
export function createApi(parts: ApiParts): Api {
  const api: Api = new OpenAPIHono<ApiEnv>({
    defaultHook: (checked) => {
      if (!checked.success) throw refusal(checked.error);
    },
  });
  api.use(dress, allowOrigins(parts.doorway.origins), wellEncoded);
  const routes = { ...parts, guard: createGuard(parts), admin: adminGuard };
  mountAudit(api, parts.audit);
  mountPublish(api, routes);
  mountHistory(api, routes);
  mountPresence(api, routes);
  mountTags(api, routes);
  mountConnections(api, routes);
  mountTokens(api, routes);
  mountRevocations(api, routes);
  mountLogin(api, routes);
  mountMetrics(api, routes);
  mountViewer(api);
  mountDocument(api, parts);
  refuseOtherMethods(api);
  api.notFound(() => problem(404, errors.badRequest.code, "There is nothing at this path"));
  api.onError((error, c) => explain(error, c, parts));
  return api;
}

/** Headers of every answer: what it says is for the one who asked. */
const dress = createMiddleware<ApiEnv>(async (c, next) => {
  await next();
  c.res.headers.set("x-content-type-options", "nosniff");
  if (!c.res.headers.has("cache-control")) c.res.headers.set("cache-control", "no-store");
});

/** Lets pages of allowed origins read the answers; to others browsers do not show them. */
function allowOrigins(origins: Origins): Guard {
  return createMiddleware<ApiEnv>(async (c, next) => {
    await next();
    origins.expose(c.res.headers, c.req.raw);
  });
}

/** A name that is not well encoded must not become another name. */
const wellEncoded = createMiddleware<ApiEnv>(async (c, next) => {
  try {
    decodeURIComponent(c.req.url);
  } catch (cause) {
    throw new ProtocolError(errors.badRequest, "The URL is not percent-encoded UTF-8", { cause });
  }
  await next();
});

function refuseOtherMethods(api: Api): void {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of api.routes) {
    if (method === "ALL") continue;
    const known = methods.get(path) ?? new Set<string>();
    if (known.add(method).has("GET")) known.add("HEAD");
    methods.set(path, known);
  }
  for (const [path, known] of methods) {
    const allow = [...known, "OPTIONS"].join(", ");
    api.all(path, (c) => {
      if (c.req.method === "OPTIONS") return c.body(null, 204, { allow });
      const refused = problem(405, errors.badRequest.code, `This path takes ${allow}`);
      refused.headers.set("allow", allow);
      return refused;
    });
  }
}

function explain(error: Error, c: Context<ApiEnv>, { log, registry }: ApiParts): Response {
  if (error instanceof ProtocolError) {
    registry.countError(error.code);
    logTooFast(registry.rates, error, c.env.client.address);
    return problemFor(error);
  }
  if (error instanceof HTTPException) return explainStatus(error);
  if (error instanceof TokenStoreError && error.reason === "invalid")
    return problemOf(errors.badRequest, error.message);
  log.error("request failed", { method: c.req.method, path: c.req.path, error });
  return problemOf(error instanceof TokenStoreError ? errors.unavailable : errors.internal);
}

function explainStatus({ status, message }: HTTPException): Response {
  const refused = problem(status, errors.badRequest.code, message);
  if (status === 415) refused.headers.set("accept-encoding", "identity");
  // What may still come of this body is not read.
  if (status === 408) refused.headers.set("connection", "close");
  return refused;
}
