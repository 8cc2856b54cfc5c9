/** `tagcast version` */
import manifest from "../../package.json" with { type: "json" };
import { quoted } from "../config/values.ts";
import { buildFacts } from "./build-facts.ts";
import { exitCodes, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";

const help = renderHelp({
  usage: ["version [--json]"],
  about: "Prints the version of tagcast, what it was built from, the version of Bun it runs on, and the platform.",
  options: [["--json", "Print one JSON object."]],
});

export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const unknown = argv.find((argument) => argument !== "--json");
  if (unknown !== undefined) throw new UsageError(`unexpected argument ${quoted(unknown)}`);
  const { commit, target, date } = buildFacts;
  const platform = `${process.platform}-${process.arch}`;
  const facts = { version: manifest.version, commit, build: target, date, bun: Bun.version, platform };
  const from = commit === null ? target : `${target}, ${commit.slice(0, 12)}`;
  const line = `tagcast ${manifest.version} (${from}; Bun ${Bun.version}, ${platform})`;
  io.out(argv.includes("--json") ? JSON.stringify(facts) : line);
  return exitCodes.ok;
}
