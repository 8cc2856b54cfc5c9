/** Command line → raw values of options. Checks names only. */
import { configFileOption, flagOf, optionRows } from "./options.ts";
import { type ProblemList, suggestion } from "./problems.ts";
import { quoted } from "./values.ts";

const flags: ReadonlyMap<string, { readonly key: string; readonly kind: string }> = new Map(
  [configFileOption, ...optionRows.map(([, option]) => option)].map(({ key, kind }) => [flagOf(key), { key, kind }]),
);

/**
 * Key → text of each flag: `--x value` or `--x=value`; of a boolean `--x` alone means true. A repeated flag: the last
 * one counts, lists and sets are joined.
 */
export function parseFlags(argv: readonly string[], problems: ProblemList): Map<string, string> {
  const found = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? "";
    if (!argument.startsWith("--")) {
      problems.add("arguments", "command line", `unexpected argument ${quoted(argument)}: options begin with --`);
      continue;
    }
    const [name, inline] = splitOnce(argument);
    const flag = flags.get(name);
    const next = argv[i + 1];
    const follows = inline === undefined && next !== undefined && !next.startsWith("--");
    if (flag === undefined) {
      problems.add(name, name, `unknown flag${suggestion(name, flags.keys())}`);
      // What follows is most likely its value, perhaps a secret: it is passed over unnamed.
      if (follows) i++;
      continue;
    }
    const takesNext = follows && (flag.kind !== "boolean" || next === "true" || next === "false");
    const value = inline ?? (takesNext ? next : flag.kind === "boolean" ? "true" : undefined);
    if (takesNext) i++;
    if (value === undefined) {
      problems.add(flag.key, name, `needs a value: ${name} <value>`);
      continue;
    }
    const before = flag.kind === "list" || flag.kind === "set" ? found.get(flag.key) : undefined;
    found.set(flag.key, before === undefined ? value : `${before},${value}`);
  }
  return found;
}

function splitOnce(argument: string): readonly [string, string | undefined] {
  const at = argument.indexOf("=");
  return at < 0 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}
