/** Help texts in one form, and what the exit codes mean. */
/** Exit status of every command. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** A command line that cannot be understood. `run.ts` prints its message and exits with status 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** What the help of a command says; rows are [what to type, what it does]. */
export interface Help {
  /** Without the word `tagcast`, one line a form. */
  readonly usage: readonly string[];
  /** Sentences, with full stops. */
  readonly about: string;
  readonly options?: readonly (readonly [string, string])[];
  readonly examples?: readonly string[];
}

const width = 100;
const columnMax = 34;

/** The help text, without a newline at its end. `-h, --help` is added to the options. */
export function renderHelp({ usage, about, options = [], examples = [] }: Help): string {
  const parts = [
    usage.map((form, i) => `${i === 0 ? "Usage: " : "       "}tagcast ${form}`).join("\n"),
    wrap(about, width).join("\n"),
    section("Options", rows([...options, ["-h, --help", "Show this help."]])),
  ];
  if (examples.length > 0) parts.push(section("Examples", examples.map((line) => `  ${line}`).join("\n")));
  parts.push(section("Exit status", exitText));
  return parts.join("\n\n");
}

/** What `tagcast --help` prints. */
export function overview(commands: readonly { readonly name: string; readonly summary: string }[]): string {
  return [
    "Usage: tagcast <command> [options]",
    "Real-time messaging: tags, subscriptions, history, over WebSocket.",
    section("Commands", rows(commands.map(({ name, summary }) => [name, summary]))),
    "`tagcast <command> --help` tells the options of a command.",
    section("Exit status", exitText),
  ].join("\n\n");
}

/** Whether help is asked for; what follows `--` is not an option. */
export function wantsHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const options = end < 0 ? argv : argv.slice(0, end);
  return options.includes("--help") || options.includes("-h");
}

const exitText = rows([
  [String(exitCodes.ok), "Done."],
  [String(exitCodes.failed), "Failed; standard error says why."],
  [String(exitCodes.usage), "The command line or the configuration is wrong."],
  [String(exitCodes.interrupted), "Interrupted before it was done."],
]);

function section(title: string, body: string): string {
  return `${title}:\n${body}`;
}

/** Two columns; a long left one has its line to itself. */
function rows(pairs: readonly (readonly [string, string])[]): string {
  const fitting = pairs.map(([left]) => left.length).filter((length) => length <= columnMax);
  const column = Math.max(...fitting, 0) + 2;
  return pairs
    .flatMap(([left, right]) => {
      const lines = wrap(right, width - column - 2);
      const head = left.length > columnMax ? [`  ${left}`] : [];
      const first = head.length === 0 ? left : "";
      return [...head, ...lines.map((line, i) => `  ${(i === 0 ? first : "").padEnd(column)}${line}`)];
    })
    .join("\n");
}

function wrap(text: string, limit: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > limit) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
