/** `/docs`: the OpenAPI document for people, by Swagger UI out of this process; the page may load nothing from elsewhere. */
import { createRoute, z } from "@hono/zod-openapi";
import script from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import style from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import type { Api } from "./context.ts";
import { described, problems } from "./schemas.ts";

/** Paths are relative, so that a proxy may put the server below a path of its own. */
const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>tagcast: HTTP API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="docs/swagger-ui.css">
  </head>
  <body>
    <div id="viewer"></div>
    <script src="docs/swagger-ui.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`;

/** Without a validator, which would be asked on the network. */
const start = `SwaggerUIBundle({ url: "openapi.json", dom_id: "#viewer", deepLinking: true, validatorUrl: null });
`;

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const types = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};
const fileMaxAge = "public, max-age=3600";

const pageRoute = createRoute({
  tags: ["Server"],
  method: "get",
  path: "/docs",
  operationId: "showViewer",
  summary: "This document as a page",
  responses: { 200: described("The page", "text/html", z.string()) },
});
/** What each part of the page is: a file on disk, or text. */
const parts: ReadonlyMap<string, { readonly type: string; readonly body: string | Blob }> = new Map([
  ["swagger-ui.js", { type: types.js, body: Bun.file(script) }],
  ["swagger-ui.css", { type: types.css, body: Bun.file(style) }],
  ["start.js", { type: types.js, body: start }],
]);
const fileRoute = createRoute({
  tags: ["Server"],
  method: "get",
  path: "/docs/{file}",
  operationId: "showViewerPart",
  summary: "A part of that page",
  request: { params: z.object({ file: z.string().meta({ enum: [...parts.keys()], description: "Its name" }) }) },
  responses: { 200: described("The part", "text/javascript", z.string()), ...problems(404) },
});

export function mountViewer(api: Api): void {
  api.openapi(pageRoute, (c) =>
    c.body(page, 200, {
      "content-type": types.html,
      "content-security-policy": policy,
      "referrer-policy": "no-referrer",
    }),
  );
  api.openapi(fileRoute, (c) => {
    const part = parts.get(c.req.valid("param").file);
    if (part === undefined) return c.notFound();
    return new Response(part.body, { headers: { "content-type": part.type, "cache-control": fileMaxAge } });
  });
}
