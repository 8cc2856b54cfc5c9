/** `GET /metrics`: the numbers of the whole server, for Prometheus. */
import { createRoute, z } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Api, ApiEnv, Guard, RouteParts } from "./context.ts";
import { guardedIn, guardedProblems } from "./schemas.ts";

/** The application whose administrators are those of the server. */
const mainApplication = "main";

/** Numbers of all applications are for the administrators of the main one alone. */
const serverGuard: Guard = createMiddleware<ApiEnv>(async (c, next) => {
  if (c.get("identity").app !== mainApplication) throw new ProtocolError(errors.denied);
  await next();
});

const route = {
  ...guardedIn("Administration"),
  method: "get",
  path: "/metrics",
  operationId: "metrics",
  summary: "Metrics of this instance",
  description: `In the text format of Prometheus. Needs the grant \`admin\` on \`#\` in application ${mainApplication}.`,
  responses: {
    200: { description: "Metrics", content: { "text/plain": { schema: z.string() } } },
    ...guardedProblems(),
  },
} as const;

export function mountMetrics(api: Api, { guard, admin, metrics }: RouteParts): void {
  api.openapi(createRoute({ ...route, middleware: [guard, admin, serverGuard] }), async (c) =>
    c.text(await metrics.text(), 200, { "content-type": metrics.contentType }),
  );
}
