/** `tagcast store check|compact`: the store of a server, while no server has it. */
import { checkStore, compactStore, type StoreReport } from "../broker/sqlite/tool.ts";
import { type StoreTrouble, troubleOf } from "../broker/sqlite/trouble.ts";
import { suggestion } from "../config/problems.ts";
import { quoted } from "../config/values.ts";
import { printable } from "../lib/printable.ts";
import { exitCodes, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { parseArguments } from "./token-arguments.ts";

const help = renderHelp({
  usage: ["store check PATH [--json]", "store compact PATH"],
  about:
    "For the store of a server that is not running; PATH may be left out where TAGCAST_STORE is set. check reads all of it and tells what is wrong, with status 1 if anything is. compact gives what is not used back to the file system; it needs no room of its own, and may be interrupted.",
  options: [["--json", "Print JSON."]],
  examples: ["store check /var/lib/tagcast/store.db"],
});

const forms = { check, compact };

export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const [name = "", ...rest] = argv;
  if (name !== "check" && name !== "compact") {
    const what = name === "" ? "say one of check, compact" : `unknown command ${quoted(name)}`;
    throw new UsageError(what + suggestion(name, Object.keys(forms)));
  }
  const { values, positionals } = parseArguments(rest, { json: { type: "boolean" } }, [0, 1]);
  const path = positionals[0] ?? io.env["TAGCAST_STORE"] ?? "";
  if (path === "") throw new UsageError("say which store: PATH, or TAGCAST_STORE");
  try {
    return await forms[name](path, io, values.json ?? false);
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble === null) throw error;
    io.err(`tagcast store: ${printable(`${quoted(path)}: ${explain(trouble)}`)}`);
    return exitCodes.failed;
  }
}

async function check(path: string, io: CliIo, isJson: boolean): Promise<number> {
  const report = checkStore(path);
  if (isJson) io.out(JSON.stringify(report, null, 2));
  else for (const line of described(report)) io.out(printable(line));
  return report.problems.length === 0 ? exitCodes.ok : exitCodes.failed;
}

function described({ logs, messages, bytes, fileBytes, freeBytes, isStopped, problems }: StoreReport): string[] {
  return [
    `${messages} messages of ${bytes} bytes in ${logs} logs; the file has ${fileBytes} bytes, ${freeBytes} of them unused`,
    ...(isStopped ? [] : ["It was not stopped in order; the next start of a server on it sees to that"]),
    ...(problems.length === 0 ? ["No problems"] : problems.map((problem) => `Problem: ${problem}`)),
  ];
}

async function compact(path: string, io: CliIo): Promise<number> {
  const given = await compactStore(path, (doneBytes, allBytes) =>
    io.err(`${Math.floor((doneBytes / allBytes) * 100)}%  ${doneBytes} of ${allBytes} bytes`),
  );
  io.out(`${given} bytes given back`);
  return exitCodes.ok;
}

function explain(trouble: StoreTrouble): string {
  if (trouble.kind === "busy") return "a server uses it: stop that first";
  return trouble.kind === "damaged" ? `it is damaged: ${trouble.message}` : trouble.message;
}
