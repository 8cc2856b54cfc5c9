/** `/login` and `/logout`: a browser presents its token once, and keeps in its place a cookie that no script can read. */
import { createRoute, z } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import { cookieOf, endedLoginCookie, loginCookieName } from "../cookie.ts";
import { type Asking, askingOf, type Doorway, type Presented } from "../doorway.ts";
import { problem } from "../problem.ts";
import { assertInTime } from "../too-fast.ts";
import { identify } from "./authenticate.ts";
import { answer, type Api, type ApiEnv, type RouteParts } from "./context.ts";
import { guardedIn, guardedProblems, problems, result } from "./schemas.ts";

/** Browsers keep cookies of up to 4096 bytes, name and attributes included. */
const ticketLengthMax = 3900;

const whoSchema = z
  .object({
    subject: z.string().meta({ description: "For whom the credential speaks" }),
    client: z.string().nullable().meta({ description: "The client name that it fixes" }),
    application: z.string(),
    login: z
      .string()
      .nullable()
      .meta({ description: "Id of the login, as lists of connections name it; null: the token itself" }),
    expiresAtMs: z.int().nullable().meta({
      description: "When connections that are opened now end, to be opened again; null: never. Milliseconds since 1970",
    }),
  })
  .meta({ id: "Caller" });

const common = guardedIn("Login");

const loginRoute = {
  ...common,
  method: "post",
  path: "/login",
  operationId: "logIn",
  summary: "Log a browser in",
  description:
    "With a token in `Authorization`: sets the cookie. With the cookie of a login alone: renews it. Refused to pages of other origins.",
  responses: { 200: result(whoSchema, "Whom the cookie speaks for from now on"), ...guardedProblems(413, 429, 501) },
} as const;

const showRoute = {
  ...common,
  method: "get",
  path: "/login",
  operationId: "showLogin",
  summary: "Show whom the credential speaks for",
  responses: { 200: result(whoSchema, "Whom it speaks for"), ...guardedProblems(429) },
} as const;

const logoutRoute = {
  tags: common.tags,
  method: "post",
  path: "/logout",
  operationId: "logOut",
  summary: "Log a browser out",
  description:
    "Ends the login of the cookie, every connection that was opened with it, and the cookie. Without one there is nothing to do.",
  responses: { 204: { description: "There is no login" }, ...problems(403, 429, 500, 503) },
} as const;

export function mountLogin(api: Api, parts: RouteParts): void {
  const { doorway, guard, registry } = parts;
  const allowed = createMiddleware<ApiEnv>(async (c, next) => {
    const refusal = doorway.loginRefusal(askingOf(c.req.raw, c.env.client));
    return refusal ?? next();
  });

  api.openapi(createRoute({ ...showRoute, middleware: guard }), (c) => answer(c, shown(c.get("identity"))));

  api.openapi(createRoute({ ...loginRoute, middleware: [allowed, guard] }), async (c) => {
    const { logins } = doorway;
    if (logins === null)
      return problem(501, errors.badRequest.code, "There are no logins here: login-ttl and login-key say why");
    const { kind, text } = c.get("presented");
    // The guard has renewed it.
    if (kind === "login") {
      c.set("audited", { idle: true });
      return answer(c, shown(c.get("identity")));
    }
    // Each may be logged out, which has to be remembered.
    assertInTime(registry.rates, c.get("identity"), "logins");
    registry.rates.charge(c.get("identity"), { logins: 1 });
    const { secure } = askingOf(c.req.raw, c.env.client);
    const place = loginCookieName(secure);
    const ticket = logins.open(text, place);
    if (ticket.text.length > ticketLengthMax)
      throw new ProtocolError(errors.payloadTooLarge, "The token is too long to be kept in a cookie");
    const identity = await logins.identify(ticket.text, place);
    c.set("audited", { ...(identity.login !== null && { target: identity.login.id }) });
    c.header("set-cookie", doorway.cookieFor(ticket, secure));
    return answer(c, shown(identity));
  });

  api.openapi(createRoute({ ...logoutRoute, middleware: allowed }), async (c) => {
    const asking = askingOf(c.req.raw, c.env.client);
    const presented = doorway.presented(asking);
    if (presented === null && cookieOf(asking.headers, loginCookieName(asking.secure)) !== null)
      throw new ProtocolError(errors.denied, doorway.absence(asking));
    if (presented?.kind !== "login") return c.body(null, 204);
    const identity = await stillIn(doorway, presented, asking);
    if (identity !== null) {
      c.set("presented", presented);
      c.set("identity", identity);
      c.set("audited", { ...(identity.login !== null && { target: identity.login.id }) });
      await doorway.logins?.end(identity);
    }
    c.header("set-cookie", endedLoginCookie(asking.secure));
    return c.body(null, 204);
  });
}

/** Null where the login is over already. */
async function stillIn(doorway: Doorway, presented: Presented, asking: Asking): Promise<Identity | null> {
  try {
    return await identify(doorway, presented, asking, "HTTP API");
  } catch (error) {
    if (error instanceof ProtocolError && doorway.ending(presented, asking, error.cause) !== null) return null;
    throw error;
  }
}

function shown({ subject, client, app, login, expiresAtMs }: Identity) {
  return { subject, client, application: app, login: login?.id ?? null, expiresAtMs };
}
