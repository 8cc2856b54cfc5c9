/**
 * Texts made from the tables of options: `docs/config.md` (`bun src/config/docs.ts > docs/config.md`) and what
 * `serve --help` lists.
 */
import { configFileOption, flagOf, type Option, optionGroups, optionRows, variableOf } from "./options.ts";
import { type Field, type Fields, historyFields, keyFields, tagFields } from "./sections.ts";
import { formatValue, type ValueSpec } from "./values.ts";

/** A flag as help shows it, and what it does. */
export interface FlagHelp {
  readonly flag: string;
  readonly help: string;
}

/** Every flag of `serve` (and of `config`), for a help text. */
export function flagHelp(): FlagHelp[] {
  return [configFileOption, ...optionRows.map(([, option]) => option)].map((option: Option) => {
    const value = option.kind === "boolean" ? "" : ` <${typeWord(option)}>`;
    const standard = option.kind === "boolean" ? "" : defaultText(option);
    return { flag: flagOf(option.key) + value, help: option.help + (standard === "" ? "" : ` Default: ${standard}.`) };
  });
}

/** The whole of `docs/config.md`. */
export function renderConfigDocs(): string {
  const groups = optionGroups.map((group) => {
    const rows = optionRows.filter(([, option]) => option.group === group).map(([, option]) => optionCells(option));
    return `### ${group}\n\n${table(["Flag", "Variable", "Type", "Default", "What it does"], rows)}`;
  });
  return [introduction, ...groups, structured].join("\n\n") + "\n";
}

function optionCells(option: Option): string[] {
  const standard = defaultText(option);
  return [
    code(flagOf(option.key)),
    code(variableOf(option.key)),
    typeText(option),
    standard === "" ? "none" : code(standard),
    option.help + (option.secret ? " Never logged, nor shown by `config show`." : ""),
  ];
}

function fieldTable(fields: Fields): string {
  const rows = Object.entries(fields).map(([name, field]: [string, Field]) => [
    code(name),
    typeText(field),
    field.required ? "yes" : "",
    field.help,
  ]);
  return table(["Key", "Type", "Required", "What it does"], rows);
}

function defaultText(option: Option): string {
  return formatValue(option, option.default);
}

function typeWord(spec: ValueSpec): string {
  if (spec.kind === "string") return "path" in spec ? "path" : "text";
  if (spec.kind === "set") return spec.values.join(",");
  return spec.kind === "enum" ? spec.values.join("|") : spec.kind;
}

function typeText(spec: ValueSpec): string {
  switch (spec.kind) {
    case "integer":
    case "duration":
    case "size":
      return `${spec.kind}, ${spec.off === undefined ? "" : "0 (off), "}${formatValue(spec, spec.min)} to ${formatValue(spec, spec.max)}`;
    case "enum":
      return spec.values.map(code).join(", ");
    case "set":
      return `one or more of ${spec.values.map(code).join(", ")}`;
    default:
      return typeWord(spec);
  }
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Columns are padded as the formatter does, so that the generated page passes its check. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[], pad: string) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0, pad)).join(" | ")} |`;
  return [
    line(head, " "),
    line(
      head.map(() => ""),
      "-",
    ),
    ...rows.map((row) => line(row, " ")),
  ].join("\n");
}

const introduction = `# Configuration

<!-- Generated: change src/config/options.ts, sections.ts or docs.ts, then run \`bun src/config/docs.ts > docs/config.md\` -->

Nothing has to be configured. What is, comes from three places; where they disagree the later wins:

1. a TOML file, named by \`--config <path>\` or \`TAGCAST_CONFIG\`;
2. environment variables;
3. flags of \`tagcast serve\`.

A setting has the same name everywhere: the flag \`--log-level\` is the variable \`TAGCAST_LOG_LEVEL\` and the key \`log-level\` at the
top of the file. An empty variable counts as not set. Paths in the file are relative to the file, others to the working directory.

\`tagcast config check\` reads all of it as \`serve\` would, tells every problem at once and exits with status 2 if there is one.
\`tagcast config show\` prints the values that hold and where each came from; secrets stay hidden. Both take the flags of \`serve\`.

Types: a **duration** is \`250ms\`, \`10s\`, \`2m\`, \`1h\`, \`7d\`, or a bare number of milliseconds. A **size** is \`64KiB\`, \`1 MiB\`, \`2GiB\` (powers
of 1024), \`10kB\`, \`1MB\`, \`1GB\` (powers of 1000), or a bare number of bytes. A **boolean** is \`true\` or \`false\`; a boolean flag alone means true. A **list**
is separated by commas, and in the file also an array of strings. Bounds are inclusive. Where 0 is **off**, the limit does not hold: what that exposes stands in [security.md](security.md).

## Options`;

const structured = `## Tag rules

What a tag promises is said by an ordered list in the file. The first rule whose pattern matches a tag applies; a tag without a rule is
live only. A rule that an earlier one leaves nothing to match is reported as a mistake.

\`\`\`toml
[[tags]]
pattern = "log/#"
history = { size = 100000, ttl = "1h" }   # at least \`size\` messages, none older than ttl; also bytes = "64MiB"
retain = true
\`\`\`

${fieldTable(tagFields)}

Bounds of \`history\`:

${fieldTable(historyFields)}

## Keys

Public keys and secrets that JSON Web Tokens are verified with. Exactly one of \`secret\`, \`public-key\`, \`jwk\` and \`jwks-url\` stands in each; the algorithm is fixed here and
never taken from a token. RSA keys need 2048 bits, ES256 the curve P-256, EdDSA Ed25519.

\`\`\`toml
[[keys]]
algorithm = "ES256"
public-key = "backend.pem"
issuer = "https://backend.example.com"

[[keys]]
algorithm = "RS256"
jwks-url = "https://login.example.com/.well-known/jwks.json"
audience = "tagcast"
\`\`\`

${fieldTable(keyFields)}

## Applications

An application is a tag space of its own, with its own rules and keys; a token belongs to the application whose key verifies it. The \`[[tags]]\` and \`[[keys]]\` at the top of
the file are those of the application \`main\`. Names have 1 to 32 characters \`a-z\`, \`0-9\` and \`-\`. Two applications cannot share a key, unless issuer or
audience tells their tokens apart.

\`\`\`toml
[applications.acme]

[[applications.acme.tags]]
pattern = "orders/#"
history = { size = 1000 }

[[applications.acme.keys]]
algorithm = "EdDSA"
jwk = { kty = "OKP", crv = "Ed25519", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }
\`\`\``;

if (import.meta.main) process.stdout.write(renderConfigDocs());
