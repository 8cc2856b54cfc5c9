/** `tagcast version` */
import manifest from "../../package.json" with { type: "json" };
import { quoted } from "../config/values.ts";
import { exitCodes, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";

const help = renderHelp({
  usage: ["version [--json]"],
  about: "Prints the version of tagcast, of the Bun it runs on, and the platform.",
  options: [["--json", "Print one JSON object."]],
});

export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const unknown = argv.find((argument) => argument !== "--json");
  if (unknown !== undefined) throw new UsageError(`unexpected argument ${quoted(unknown)}`);
  const facts = { version: manifest.version, bun: Bun.version, platform: `${process.platform}-${process.arch}` };
  const line = `tagcast ${facts.version} (Bun ${facts.bun}, ${facts.platform})`;
  io.out(argv.includes("--json") ? JSON.stringify(facts) : line);
  return exitCodes.ok;
}
