/** `/v1/revocations`: JWTs of the caller's application that are not valid any more, by their `jti` or by whose they are. */
import { createRoute, z } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { jtiSchema, subjectSchema, timeMsSchema } from "../../auth/schemas.ts";
import type { ListedRevocation } from "../../core/token-store.ts";
import { readJson } from "./body.ts";
import { answer, type Api, mediaTypes, type RouteParts } from "./context.ts";
import { guardedIn, guardedProblems, listLimitSchema, result } from "./schemas.ts";

const bodyBytesMax = 16 * 1024;
const bracketsMax = 4;

const draftSchema = z
  .strictObject({
    jti: jtiSchema.optional().meta({ description: "The one JWT with this id", example: "5f0c61d2" }),
    subject: subjectSchema.optional().meta({ description: "Every JWT of this subject", example: "pump-7" }),
    issuedBeforeMs: timeMsSchema.optional().meta({
      description:
        "Only what was issued before; milliseconds since 1970. Left out: now, and with a jti whenever it was issued",
    }),
    expiresAtMs: timeMsSchema.optional().meta({
      description:
        "When the last JWT that it concerns is over, if you know: it is kept until then, else for 30 days at least",
    }),
  })
  .refine(({ jti, subject }) => jti !== undefined || subject !== undefined, "A jti or a subject is needed")
  .meta({
    id: "RevocationDraft",
    description: "A jti, a subject, or both",
    minProperties: 1,
    example: { subject: "pump-7" },
  });

const revocationSchema = z
  .object({
    id: z.string(),
    jti: z.string().nullable(),
    subject: z.string().nullable(),
    issuedBeforeMs: z.int().nullable().meta({ description: "null: whenever they were issued" }),
    expiresAtMs: z.int().nullable(),
    revokedAtMs: z.int(),
  })
  .meta({ id: "Revocation" });
const listSchema = z
  .object({
    revocations: z.array(revocationSchema),
    more: z.boolean().meta({ description: "Continue with after=ID of the last one" }),
  })
  .meta({ id: "Revocations" });

const common = guardedIn("Tokens");
const params = z.object({ id: z.string().meta({ description: "Id of the revocation" }) });

const listRoute = {
  ...common,
  method: "get",
  path: "/v1/revocations",
  operationId: "listRevocations",
  summary: "List revocations of JWTs",
  description:
    "Those of the token's application that can still matter, in the order of their ids. Needs the grant `admin` on `#`, as everything about tokens.",
  request: {
    query: z.object({
      after: z.string().optional().meta({ description: "Only those with a greater id" }),
      limit: listLimitSchema,
    }),
  },
  responses: { 200: result(listSchema, "Revocations"), ...guardedProblems() },
} as const;

const addRoute = {
  ...common,
  method: "post",
  path: "/v1/revocations",
  operationId: "revokeIssued",
  summary: "Revoke JWTs",
  description:
    "One by its jti, or what was issued to a subject. Open connections end at once, at every instance. Managed tokens are revoked by `DELETE /v1/tokens/{id}`.",
  request: {
    body: {
      required: true,
      content: { [mediaTypes.json]: { schema: { $ref: "#/components/schemas/RevocationDraft" } } },
    },
  },
  responses: { 201: result(revocationSchema, "The revocation"), ...guardedProblems(408, 413, 415) },
} as const;

const withdrawRoute = {
  ...common,
  method: "delete",
  path: "/v1/revocations/{id}",
  operationId: "withdrawRevocation",
  summary: "Take a revocation back",
  description: "What it concerned and has not expired is valid again.",
  request: { params },
  responses: { 204: { description: "It is taken back" }, ...guardedProblems(404) },
} as const;

export function mountRevocations(api: Api, parts: RouteParts): void {
  const { tokens: store, bodies } = parts;
  const middleware = [parts.guard, parts.admin];
  api.openAPIRegistry.register("RevocationDraft", draftSchema);

  api.openapi(createRoute({ ...listRoute, middleware }), async (c) => {
    const { after = "", limit } = c.req.valid("query");
    const { app } = c.get("identity");
    const found = (await store.revocations())
      .filter((revocation) => revocation.app === app && revocation.id > after)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return answer(c, { revocations: found.slice(0, limit).map(shown), more: found.length > limit });
  });

  api.openapi(createRoute({ ...addRoute, middleware }), async (c) => {
    const { app } = c.get("identity");
    const draft = await readJson(c, draftSchema, { bytesMax: bodyBytesMax, bracketsMax, bodies });
    const revocation = await store.revokeIssued({ ...draft, app });
    c.set("audited", { target: revocation.id, detail: draft });
    return answer(c, shown(revocation), 201);
  });

  api.openapi(createRoute({ ...withdrawRoute, middleware }), async (c) => {
    const { app } = c.get("identity");
    const { id } = c.req.valid("param");
    const known = (await store.revocations()).some((revocation) => revocation.id === id && revocation.app === app);
    if (!known || (await store.withdraw(id)) === null) {
      throw new HTTPException(404, { message: "There is no such revocation" });
    }
    return c.body(null, 204);
  });
}

/** All but the application, which is the administrator's. */
function shown({ app: _app, ...revocation }: ListedRevocation) {
  return revocation;
}
