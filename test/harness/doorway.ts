/** The door of a gateway above sessions of a test. */
import type { Authenticator } from "../../src/core/authenticator.ts";
import type { Logger } from "../../src/core/logger.ts";
import { Doorway } from "../../src/gateway/doorway.ts";
import { Origins } from "../../src/gateway/origins.ts";
import { FakeClock } from "./clock.ts";
import type { Registry } from "../../src/session/registry.ts";

export interface DoorwayWorld {
  readonly authenticator: Authenticator;
  readonly registry: Pick<Registry, "credentials">;
  readonly log: Logger;
}

export function doorwayOf(
  { authenticator, registry, log }: DoorwayWorld,
  allowedOrigins: readonly string[] = [],
): Doorway {
  const origins = new Origins(allowedOrigins);
  return new Doorway({
    origins,
    authenticator,
    logins: null,
    credentials: registry.credentials,
    clock: new FakeClock(),
    log,
  });
}
