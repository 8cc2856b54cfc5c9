/** Who is calling: the credential of a request, checked before anything else of it is looked at. */
import { createMiddleware } from "hono/factory";
import { AuthenticationError } from "../../core/authenticator.ts";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import { assertGranted } from "../../hub/authorize.ts";
import type { Entrance } from "../../session/credentials.ts";
import { type Asking, askingOf, type Doorway, type Presented } from "../doorway.ts";
import { assertInTime } from "../too-fast.ts";
import type { ApiEnv, ApiParts, Guard } from "./context.ts";

/** Lets in who presents a credential of a configured application. */
export function createGuard(parts: ApiParts): Guard {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const asking = askingOf(c.req.raw, c.env.client);
    const presented = parts.doorway.presented(asking, c.req.method === "GET");
    if (presented === null) throw new ProtocolError(errors.unauthenticated, parts.doorway.absence(asking));
    c.set("presented", presented);
    const identity = await identify(parts.doorway, presented, asking, "HTTP API");
    if (!parts.hub.serves(identity.app)) {
      throw new ProtocolError(errors.denied, "The application of this token is not configured");
    }
    c.set("identity", identity);
    const renewal = parts.doorway.renewal(presented, asking);
    const { rates } = parts.registry;
    assertInTime(rates, identity, "errors", "messages");
    rates.charge(identity, { messages: 1 });
    await next();
    if (renewal !== null) c.res.headers.append("set-cookie", renewal);
    // What is refused for what is wrong with it; what trying again can help is not.
    const { status } = c.res;
    if (status >= 400 && status < 500 && status !== 429) rates.charge(identity, { errors: 1 });
  });
}

/** Behind the guard: lets in who may administer the whole application. */
export const adminGuard: Guard = createMiddleware<ApiEnv>(async (c, next) => {
  assertGranted(c.get("identity"), "admin", "#");
  await next();
});

/** Whom a credential speaks for. @throws (rejects with) ProtocolError, whose cause says more */
export async function identify(
  doorway: Doorway,
  presented: Presented,
  asking: Asking,
  entrance: Entrance,
): Promise<Identity> {
  try {
    return await doorway.identify(presented, asking, entrance);
  } catch (cause) {
    if (cause instanceof AuthenticationError) throw new ProtocolError(cause.code, cause.text, { cause });
    throw cause;
  }
}
