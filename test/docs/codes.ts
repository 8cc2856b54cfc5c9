/** Renders docs/codes.md from the table in src/core/codes.ts. To write the file anew: `bun test/docs/codes.ts`. */
import { join } from "node:path";
import { disconnects, errors, gaps, unsubscribes, type Code } from "../../src/core/codes.ts";

/** Where the rendered text belongs. */
export const codesPath = join(import.meta.dir, "../../docs/codes.md");

interface Section {
  readonly title: string;
  readonly about: string;
  readonly codes: Readonly<Record<string, Code>>;
  /** What the third column says of a code, in the words of the section. */
  readonly retry: readonly [heading: string, yes: string, no: string];
}

const sections: readonly Section[] = [
  {
    title: "Errors, 100–199 (op 17)",
    about: "The request was refused; the connection and its subscriptions stay as they were.",
    codes: errors,
    retry: ["Retry", "the same request can succeed later", "only a changed request can succeed"],
  },
  {
    title: "Gaps, 200–299 (op 20)",
    about: "Messages were not delivered; the subscription goes on behind them.",
    codes: gaps,
    retry: ["Retry", "yes", "nothing to retry"],
  },
  {
    title: "Unsubscribed, 2000–2999 (op 21)",
    about:
      "The server ended one subscription. 2000–2499: do not subscribe again. 2500–2999: subscribe again, with back-off.",
    codes: unsubscribes,
    retry: ["Subscribe again", "yes", "no"],
  },
  {
    title: "Disconnects, 3000–3999 (op 22, then the WebSocket close code)",
    about:
      "The server ends the connection. 3000–3499: reconnect, with back-off. 3500–3999: do not reconnect until the cause is removed. 4000–4999 belong to applications.",
    codes: disconnects,
    retry: ["Reconnect", "yes", "no"],
  },
];

export function renderCodes(): string {
  return `# Codes

Generated from \`src/core/codes.ts\` by \`bun test/docs/codes.ts\`: do not edit.

Every code of the [protocol](protocol.md), by the op that carries it. **The range is the advice**: a client follows it
for codes that it does not know, too. Names are stable and stand in logs and metrics; texts may change.

${sections.map(renderSection).join("\n")}`;
}

function renderSection({ title, about, codes, retry }: Section): string {
  const [heading, yes, no] = retry;
  const rows = Object.values(codes).map(
    (row) => `| ${row.code} | \`${row.name}\` | ${row.text} | ${row.retry ? yes : no} |`,
  );
  return `## ${title}

${about}

| Code | Name | Text | ${heading} |
|---|---|---|---|
${rows.join("\n")}
`;
}

if (import.meta.main) await Bun.write(codesPath, renderCodes());
