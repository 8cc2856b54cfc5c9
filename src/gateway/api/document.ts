/** `GET /openapi.json`: the routes as an OpenAPI document, made from the schemas that check their requests. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiParts } from "./context.ts";
import { mediaTypes } from "./context.ts";
import { eventsRoute } from "./events.ts";
import { described } from "./schemas.ts";

const description = `Publish, read and administer over HTTP, under the same grants as over the WebSocket.

The tag space, positions, JSON forms of MessagePack values and all codes are those of the protocol (docs/protocol.md, docs/codes.md).
Answers are JSON, or MessagePack where \`Accept\` prefers \`application/msgpack\`. Errors are problem documents (RFC 9457) with
the protocol's \`code\`.`;

const sections = [
  { name: "Messages", description: "Publish; read what was published, and who listens" },
  { name: "Administration", description: "What and who is live on this instance" },
  { name: "Tokens", description: "Managed tokens, and revocations of JWTs" },
  { name: "Login", description: "A cookie for browsers in place of the token" },
  { name: "Server", description: "Health and documentation; no credential" },
];

const plainText = (text: string) => described(text, "text/plain", z.string());

const documentRoute = createRoute({
  tags: ["Server"],
  method: "get",
  path: "/openapi.json",
  operationId: "showDocument",
  summary: "This document",
  responses: { 200: described("OpenAPI 3.1", mediaTypes.json, z.looseObject({})) },
});

/** Answered before the API is asked, so that it costs nothing and works whatever else does not. */
const health = [
  createRoute({
    tags: ["Server"],
    method: "get",
    path: "/healthz",
    operationId: "checkHealth",
    summary: "Whether the process runs",
    responses: { 200: plainText("It does") },
  }),
  createRoute({
    tags: ["Server"],
    method: "get",
    path: "/readyz",
    operationId: "checkReadiness",
    summary: "Whether the server takes work",
    responses: { 200: plainText("It does"), 503: plainText("Not now: the broker is away, or the server is stopping") },
  }),
];

/** Mounted last: the document has what was mounted before. */
export function mountDocument(api: Api, { version }: ApiParts): void {
  const registry = api.openAPIRegistry;
  registry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "A JWT, or the secret of a managed token",
  });
  registry.registerComponent("securitySchemes", "cookie", {
    type: "apiKey",
    in: "cookie",
    name: "tagcast",
    description:
      "The same in a cookie, or what a login left there (over TLS by the name __Host-tagcast): counts only from pages of the server's own origin and of allowed ones",
  });
  for (const route of [...health, eventsRoute]) registry.registerPath(route);
  let document: string | null = null;
  api.openapi(documentRoute, () => {
    document ??= JSON.stringify(
      api.getOpenAPI31Document({
        openapi: "3.1.0",
        info: { title: "tagcast", version, description, license: { name: "MIT" } },
        servers: [{ url: "/" }],
        tags: sections,
      }),
    );
    return new Response(document, { headers: { "content-type": mediaTypes.json } });
  });
}
