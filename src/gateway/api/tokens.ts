/** `/v1/tokens`: managed tokens of the caller's application: create, list, edit, revoke. */
import { createRoute, z } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import {
  clientSchema,
  connectionsSchema,
  nameSchema,
  rateSchema,
  strictGrantMapSchema,
  subjectSchema,
  timeMsSchema,
} from "../../auth/schemas.ts";
import { operations } from "../../core/grants.ts";
import type { ManagedToken, TokenStore } from "../../core/token-store.ts";
import { readJson } from "./body.ts";
import { answer, type Api, mediaTypes, type RouteParts } from "./context.ts";
import { guardedIn, guardedProblems, listLimitSchema, result } from "./schemas.ts";

const bodyBytesMax = 512 * 1024;
const bracketsMax = 8;

const grantsExample = { "plant/#": ["read"], "plant/${client}/state": ["publish"] };
const grantsSchema = strictGrantMapSchema.meta({
  type: "object",
  additionalProperties: { type: "array", items: { type: "string", enum: [...operations, "read", "readwrite"] } },
  description: "Pattern → operations; ${client} and ${sub} are filled from the token",
  example: grantsExample,
});
const expirySchema = timeMsSchema.nullable().meta({ description: "Milliseconds since 1970; null: never" });
const ratesSchema = {
  messagesPerSecond: rateSchema.nullish().meta({
    description:
      "Messages a second at one instance, in place of what is configured; 0: any number, null: as configured",
  }),
  bytesPerSecond: rateSchema.nullish().meta({ description: "Likewise, bytes" }),
};
const boundSchema = connectionsSchema.nullable().meta({ description: "Connections at one time; null: no bound" });

const draftSchema = z
  .strictObject({
    name: nameSchema.meta({ minLength: 1, maxLength: 255, description: "For people", example: "Pump 7" }),
    subject: subjectSchema.optional().meta({ description: "Default: token: and the id" }),
    client: clientSchema.nullish().meta({ description: "Fixes the client name", example: "pump-7" }),
    grants: grantsSchema,
    deny: grantsSchema.optional().meta({ description: "Beats grants", example: { "plant/secret/#": ["read"] } }),
    expiresAtMs: expirySchema.optional(),
    connectionsMax: boundSchema.optional(),
    ...ratesSchema,
  })
  .meta({ id: "TokenDraft" });

const patchSchema = z
  .strictObject({
    name: nameSchema.optional().meta({ minLength: 1, maxLength: 255, example: "Pump 7, east" }),
    grants: grantsSchema.optional(),
    deny: grantsSchema.optional(),
    expiresAtMs: expirySchema.optional(),
    connectionsMax: boundSchema.optional(),
    ...ratesSchema,
  })
  .meta({ id: "TokenPatch", description: "What is left out stays" });

const grantsGivenSchema = z.record(z.string(), z.array(z.string()));
const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    subject: z.string(),
    client: z.string().nullable(),
    grants: grantsGivenSchema,
    deny: grantsGivenSchema,
    expiresAtMs: z.int().nullable(),
    connectionsMax: z.int().nullable(),
    messagesPerSecond: z.int().nullable(),
    bytesPerSecond: z.int().nullable(),
    createdAtMs: z.int(),
  })
  .meta({ id: "Token" });
const createdSchema = z
  .object({ token: tokenSchema, secret: z.string().meta({ description: "Shown now and never again" }) })
  .meta({ id: "CreatedToken" });
const listSchema = z
  .object({
    tokens: z.array(tokenSchema),
    more: z.boolean().meta({ description: "Continue with after=ID of the last one" }),
  })
  .meta({ id: "Tokens" });

const common = guardedIn("Tokens");
const params = z.object({ id: z.string().meta({ description: "Id of the token", example: "0f1e2d3c4b5a" }) });
const body = (name: string) => ({
  required: true,
  content: { [mediaTypes.json]: { schema: { $ref: `#/components/schemas/${name}` } } },
});

const listRoute = {
  ...common,
  method: "get",
  path: "/v1/tokens",
  operationId: "listTokens",
  summary: "List managed tokens",
  description:
    "Those of the token's application, in the order of their ids. Needs the grant `admin` on `#`, as everything about tokens.",
  request: {
    query: z.object({
      after: z.string().optional().meta({ description: "Only those with a greater id" }),
      limit: listLimitSchema,
    }),
  },
  responses: { 200: result(listSchema, "Tokens, without their secrets"), ...guardedProblems() },
} as const;

const createTokenRoute = {
  ...common,
  method: "post",
  path: "/v1/tokens",
  operationId: "createToken",
  summary: "Create a managed token",
  description: "In the application of the caller, with whatever grants. The secret is in this answer alone.",
  request: { body: body("TokenDraft") },
  responses: { 201: result(createdSchema, "The token and its secret"), ...guardedProblems(408, 413, 415) },
} as const;

const showRoute = {
  ...common,
  method: "get",
  path: "/v1/tokens/{id}",
  operationId: "showToken",
  summary: "Show a managed token",
  request: { params },
  responses: { 200: result(tokenSchema, "The token"), ...guardedProblems(404) },
} as const;

const editRoute = {
  ...common,
  method: "patch",
  path: "/v1/tokens/{id}",
  operationId: "editToken",
  summary: "Edit a managed token",
  description: "Acts at once on open connections: subscriptions that are no longer granted end.",
  request: { params, body: body("TokenPatch") },
  responses: { 200: result(tokenSchema, "The token as it is now"), ...guardedProblems(404, 408, 413, 415) },
} as const;

const revokeRoute = {
  ...common,
  method: "delete",
  path: "/v1/tokens/{id}",
  operationId: "revokeToken",
  summary: "Revoke a managed token",
  description: "For ever. Its open connections end at once.",
  request: { params },
  responses: { 204: { description: "It is revoked" }, ...guardedProblems(404) },
} as const;

export function mountTokens(api: Api, parts: RouteParts): void {
  const { tokens: store, bodies } = parts;
  const middleware = [parts.guard, parts.admin];
  const bounds = { bytesMax: bodyBytesMax, bracketsMax, bodies };
  api.openAPIRegistry.register("TokenDraft", draftSchema);
  api.openAPIRegistry.register("TokenPatch", patchSchema);

  api.openapi(createRoute({ ...listRoute, middleware }), async (c) => {
    const { after = "", limit } = c.req.valid("query");
    const { app } = c.get("identity");
    const found = (await store.list())
      .filter((token) => token.app === app && token.id > after)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return answer(c, { tokens: found.slice(0, limit).map(shown), more: found.length > limit });
  });

  api.openapi(createRoute({ ...createTokenRoute, middleware }), async (c) => {
    const { app } = c.get("identity");
    const draft = await readJson(c, draftSchema, bounds);
    const { token, secret } = await store.create({ ...draft, app });
    c.set("audited", { target: token.id, detail: draft });
    c.header("location", `/v1/tokens/${token.id}`);
    return answer(c, { token: shown(token), secret }, 201);
  });

  api.openapi(createRoute({ ...showRoute, middleware }), async (c) => {
    return answer(c, shown(await find(store, c.get("identity").app, c.req.valid("param").id)));
  });

  api.openapi(createRoute({ ...editRoute, middleware }), async (c) => {
    const { id } = await find(store, c.get("identity").app, c.req.valid("param").id);
    const patch = await readJson(c, patchSchema, bounds);
    c.set("audited", { detail: patch });
    const token = present(await store.edit(id, patch));
    return answer(c, shown(token));
  });

  api.openapi(createRoute({ ...revokeRoute, middleware }), async (c) => {
    const { id } = await find(store, c.get("identity").app, c.req.valid("param").id);
    const { name, subject } = present(await store.revoke(id));
    c.set("audited", { detail: { name, subject } });
    return c.body(null, 204);
  });
}

/** @throws HTTPException 404 */
async function find(store: TokenStore, app: string, id: string): Promise<ManagedToken> {
  return present((await store.list()).find((token) => token.id === id && token.app === app) ?? null);
}

function present(token: ManagedToken | null): ManagedToken {
  if (token === null) throw new HTTPException(404, { message: "There is no such token" });
  return token;
}

/** What administrators see: everything but the hash, and the application, which is theirs. */
function shown({ app: _app, hash: _hash, ...token }: ManagedToken) {
  return token;
}
