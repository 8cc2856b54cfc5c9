/** Every scenario of the suite. */
import { asking } from "./asking.ts";
import { credentials } from "./credentials.ts";
import { network } from "./network.ts";
import { publishing } from "./publishing.ts";
import { reading } from "./reading.ts";
import { recovery } from "./recovery.ts";
import type { Scenario } from "./stage.ts";
import { storm } from "./storm.ts";

export const scenarios: readonly Scenario[] = [
  ...recovery,
  ...network,
  ...publishing,
  ...reading,
  ...asking,
  ...credentials,
  ...storm,
];
