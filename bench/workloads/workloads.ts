/** Every workload, in the order of the report. */
import type { Workload } from "../results.ts";
import { cluster } from "./cluster.ts";
import { compression } from "./compression.ts";
import { connectionRate } from "./connection-rate.ts";
import { durablePublishes } from "./durable.ts";
import { fanOuts } from "./fan-out.ts";
import { floodOfMessages } from "./flood.ts";
import { idle } from "./idle.ts";
import { jsonBesideMessagePack } from "./json.ts";
import { log } from "./log.ts";
import { pairsOfClients } from "./pairs.ts";
import { paperC } from "./paper-c.ts";
import { processes } from "./processes.ts";
import { recoveryStorm } from "./recovery-storm.ts";
import { reuse } from "./reuse.ts";
import { slowSubscriber } from "./slow-subscriber.ts";
import { wildcards } from "./wildcards.ts";

export const workloads: readonly Workload[] = [
  fanOuts,
  pairsOfClients,
  wildcards,
  log,
  durablePublishes,
  cluster,
  processes,
  jsonBesideMessagePack,
  slowSubscriber,
  floodOfMessages,
  recoveryStorm,
  idle,
  connectionRate,
  reuse,
  compression,
  paperC,
];
