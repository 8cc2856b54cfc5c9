/** Which routes the audit log has, and what it is told of a request: whoever was refused, too. */
import { createMiddleware } from "hono/factory";
import type { Audit, AuditAction, AuditActor, AuditResult } from "../../core/audit.ts";
import type { Api, ApiEnv } from "./context.ts";

interface Row {
  readonly action: AuditAction;
  /** Only those that were refused: reading is no act, but trying to in vain is. */
  readonly reads?: true;
}

const routes: Readonly<Record<string, Row>> = {
  "POST /login": { action: "login" },
  "POST /logout": { action: "logout" },
  "GET /v1/tokens": { action: "token.list", reads: true },
  "POST /v1/tokens": { action: "token.create" },
  "GET /v1/tokens/:id": { action: "token.show", reads: true },
  "PATCH /v1/tokens/:id": { action: "token.edit" },
  "DELETE /v1/tokens/:id": { action: "token.revoke" },
  "GET /v1/revocations": { action: "revocation.list", reads: true },
  "POST /v1/revocations": { action: "revocation.add" },
  "DELETE /v1/revocations/:id": { action: "revocation.withdraw" },
  "GET /v1/connections": { action: "connection.list", reads: true },
  "DELETE /v1/connections": { action: "connections.end" },
  "GET /v1/connections/:id": { action: "connection.show", reads: true },
  "DELETE /v1/connections/:id": { action: "connection.end" },
  "GET /v1/tags": { action: "tag.list", reads: true },
  "GET /metrics": { action: "metrics.read", reads: true },
};

/** What a handler adds to the entry of its request. */
export interface Audited {
  readonly target?: string;
  /** Never a secret. */
  readonly detail?: Readonly<Record<string, unknown>>;
  /** Nothing was done: there is nothing to note. */
  readonly idle?: true;
}

/** Mount it before the routes: it sees what they were answered. */
export function mountAudit(api: Api, audit: Audit): void {
  for (const [route, row] of Object.entries(routes)) {
    const [method = "", path = ""] = route.split(" ");
    api.on(method, path, noting(audit, row));
  }
}

function noting(audit: Audit, { action, reads }: Row) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    await next();
    const { identity, presented, audited = {} } = c.var as Partial<ApiEnv["Variables"]>;
    const result = resultOf(c.res.status);
    // Who presents nothing tries nothing, and of those who are throttled the first failures are there.
    if (presented === undefined || audited.idle || c.res.status === 429) return;
    if (reads && result !== "refused") return;
    const target = audited.target ?? c.req.param("id");
    const detail = { ...(result !== "done" && { status: c.res.status }), ...audited.detail };
    audit.note({
      ...{ action, result, by: identity === undefined ? null : actorOf(identity), from: c.env.client.address },
      ...(target !== undefined && { target }),
      ...(Object.keys(detail).length > 0 && { detail }),
    });
  });
}

function actorOf({ app, subject, tokenId, login }: AuditActor): AuditActor {
  return { app, subject, tokenId, login };
}

function resultOf(status: number): AuditResult {
  if (status < 400) return "done";
  return status === 401 || status === 403 ? "refused" : "failed";
}
