/** Everything that is fuzzed. */
import type { Target } from "./engine.ts";
import { clientAddressTarget } from "./targets/client-address.ts";
import { clientTarget } from "./targets/client.ts";
import { configTarget } from "./targets/config.ts";
import { jwtTarget, tokenFileTarget } from "./targets/credentials.ts";
import { eventIdTarget } from "./targets/event-id.ts";
import { httpTarget } from "./targets/http.ts";
import { patternTarget } from "./targets/patterns.ts";
import { jsonTarget, msgpackTarget, renderTarget } from "./targets/wire.ts";

export const targets: readonly Target[] = [
  msgpackTarget,
  jsonTarget,
  renderTarget,
  httpTarget,
  patternTarget,
  configTarget,
  clientTarget,
  eventIdTarget,
  tokenFileTarget,
  jwtTarget,
  clientAddressTarget,
];
