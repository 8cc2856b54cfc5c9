/** `tagcast token`: which form is meant, and its help. */
import { suggestion } from "../config/problems.ts";
import { quoted } from "../config/values.ts";
import { exitCodes, type Help, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { decode, decodeHelp } from "./token-decode.ts";
import { create, createHelp, edit, editHelp, list, listHelp, revoke, revokeHelp } from "./token-managed.ts";
import { sign, signHelp } from "./token-sign.ts";

interface Form {
  readonly help: Help;
  readonly run: (argv: readonly string[], io: CliIo) => Promise<number>;
}

const forms: Readonly<Record<string, Form>> = {
  create: { help: createHelp, run: create },
  list: { help: listHelp, run: list },
  edit: { help: editHelp, run: edit },
  revoke: { help: revokeHelp, run: revoke },
  sign: { help: signHelp, run: sign },
  decode: { help: decodeHelp, run: decode },
};

const help = renderHelp({
  usage: Object.values(forms).flatMap((form) => form.help.usage),
  about:
    "create, list, edit and revoke keep managed tokens in a file that a running server follows, or in the Redis of a cluster: a change acts at once, on open connections too. sign and decode are for JWTs, which your own back end may make as well. `tagcast token <form> --help` tells the options of each.",
});

/** Resolves with the exit status; rejects with UsageError. */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const [name = "", ...rest] = argv;
  const form = Object.hasOwn(forms, name) ? forms[name] : undefined;
  if (form !== undefined && !wantsHelp(rest)) return form.run(rest, io);
  if (wantsHelp(argv)) {
    io.out(form === undefined ? help : renderHelp(form.help));
    return exitCodes.ok;
  }
  const what = name === "" ? `say one of ${Object.keys(forms).join(", ")}` : `unknown command ${quoted(name)}`;
  throw new UsageError(what + suggestion(name, Object.keys(forms)));
}
