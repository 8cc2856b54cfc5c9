/** The scripts that run in Redis, each with what it shares with others in front of it. */
import { createHash } from "node:crypto";
import append from "./scripts/append.lua" with { type: "text" };
import common from "./scripts/common.lua" with { type: "text" };
import counts from "./scripts/counts.lua" with { type: "text" };
import heartbeat from "./scripts/heartbeat.lua" with { type: "text" };
import ledger from "./scripts/ledger.lua" with { type: "text" };
import log from "./scripts/log.lua" with { type: "text" };
import presence from "./scripts/presence.lua" with { type: "text" };
import read from "./scripts/read.lua" with { type: "text" };
import relay from "./scripts/relay.lua" with { type: "text" };
import roster from "./scripts/roster.lua" with { type: "text" };
import scan from "./scripts/scan.lua" with { type: "text" };

export interface Script {
  readonly name: string;
  readonly source: string;
  /** What Redis calls it by once it is loaded. */
  readonly sha: string;
}

/**
 * For what keeps instances together and lets administrators act: little, and the same keys again and again. A server that is full
 * refuses the others what they would keep, and nothing else.
 */
const evenIfFull = "#!lua flags=allow-oom\n";

export const scripts = {
  append: script("append", common + log + append),
  relay: script("relay", common + relay),
  read: script("read", common + log + read),
  scan: script("scan", common + scan),
  presence: script("presence", common + presence),
  heartbeat: script("heartbeat", evenIfFull + common + heartbeat),
  ledger: script("ledger", evenIfFull + common + ledger),
  counts: script("counts", evenIfFull + common + counts),
  roster: script("roster", evenIfFull + common + roster),
} as const;

function script(name: string, source: string): Script {
  return { name, source, sha: createHash("sha1").update(source).digest("hex") };
}

/** Loads all of them. */
export async function loadScripts(server: { send(args: readonly string[]): Promise<unknown> }): Promise<void> {
  await Promise.all(Object.values(scripts).map(({ source }) => server.send(["SCRIPT", "LOAD", source])));
}
