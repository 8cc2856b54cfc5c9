/** Who is calling: the credential of a request, checked before anything else of it is looked at. */
import { createMiddleware } from "hono/factory";
import { AuthenticationError } from "../../core/authenticator.ts";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import { assertGranted } from "../../hub/authorize.ts";
import { credentialOf } from "../upgrade.ts";
import type { ApiEnv, ApiParts, Guard } from "./context.ts";

/** Lets in who presents a credential of a configured application. */
export function createGuard(parts: ApiParts): Guard {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const credential = credentialOf(c.req.raw.headers, parts.allowedOrigins, c.req.method === "GET");
    if (credential === null)
      throw new ProtocolError(errors.unauthenticated, "Present a token: Authorization: Bearer …");
    const identity = await authenticate(parts, credential, c.env.client.address);
    if (!parts.hub.serves(identity.app)) {
      throw new ProtocolError(errors.denied, "The application of this token is not configured");
    }
    c.set("identity", identity);
    await next();
  });
}

/** Behind the guard: lets in who may administer the whole application. */
export const adminGuard: Guard = createMiddleware<ApiEnv>(async (c, next) => {
  assertGranted(c.get("identity"), "admin", "#");
  await next();
});

/** @throws (rejects with) ProtocolError */
export async function authenticate(
  parts: Pick<ApiParts, "authenticator" | "registry" | "log">,
  credential: string,
  from: string,
): Promise<Identity> {
  try {
    return await parts.authenticator.authenticate(credential);
  } catch (reason) {
    parts.registry.counts.authenticationFailures++;
    const { code, text } = reason instanceof AuthenticationError ? reason : new AuthenticationError(errors.unavailable);
    parts.log.info("credential refused at the HTTP API", { code: code.code, reason: code.name, from });
    throw new ProtocolError(code, text, { cause: reason });
  }
}
