/** Text that breaks out of contexts which do not expect it, and how it is seen that it did. */

/** Says in an output that what follows it stands where the attacker wanted it. */
export const mark = "forged-by-test";

/** By what they aim at. None has a NUL or a wildcard, so that all may stand in tags. */
export const hostileTexts: Readonly<Record<string, string>> = {
  lines: `a\r\n${mark}: 1\n\n${mark}: 2\r`,
  "events of a stream": `a\n\nevent: ${mark}\ndata: {"x":1}\nid: ${mark}\nretry: 1\n\n`,
  headers: `a\r\nSet-Cookie: tagcast=${mark}\r\n\r\nHTTP/1.1 200 OK`,
  quotes: `a"'\`\\",\\"${mark}\\":1}`,
  labels: `a"} 1\n${mark}{x="y`,
  terminals: `\u001b[2J\u001b[31m\u001b]0;${mark}\u0007\b\b\u009b31m\u009d0;x\u009c`,
  markup: `</script><script>window.owned=1</script><img src=x onerror=window.owned=1>"onload="window.owned=1`,
  templates: "{level}{{7}}${client}%s%d%o$&$1{0}",
  separators: "a\u2028b\u2029c\u0085d",
  directions: "\u202eredrum\u2066\u200f\ufeff",
  "log lines": `\n12:00:00.000 ERROR: ${mark}\n{"level":"error","message":"${mark}"}`,
  prototypes: "__proto__",
};

/** What a terminal or a viewer of logs would act on; line ends apart. */
// oxlint-disable-next-line no-control-regex
const acting = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u;

/** What is wrong with lines for a terminal, each of which is to begin as `line` has it: none may be made by others. */
export function terminalProblems(output: string, line: RegExp): string[] {
  const problems = output.match(acting) === null ? [] : [`acts on a terminal: ${JSON.stringify(output.slice(0, 300))}`];
  for (const each of output.split("\n"))
    if (each !== "" && !line.test(each)) problems.push(`a line of others: ${each}`);
  return problems;
}

/** What is wrong with a log of JSON lines. */
export function jsonLogProblems(output: string): string[] {
  return output.split("\n").flatMap((line) => {
    if (line === "") return [];
    try {
      const { level, message } = JSON.parse(line) as Record<string, unknown>;
      const forged = message === mark || typeof level !== "string";
      return forged || acting.test(line) ? [`forged: ${line}`] : [];
    } catch {
      return [`no JSON: ${line}`];
    }
  });
}

/** What is wrong with metrics in the text format of Prometheus. */
export function metricsProblems(text: string): string[] {
  const label = '[a-zA-Z_]\\w*="[^"\\\\\\n]*"';
  const sample = new RegExp(
    `^(tagcast|process)_\\w+(\\{${label}(,${label})*\\})? (-?[\\d.]+(e[+-]?\\d+)?|NaN|[+-]Inf)$`,
  );
  return text
    .split("\n")
    .filter((line) => line !== "" && !/^# (HELP|TYPE) (tagcast|process)_\w+ /.test(line) && !sample.test(line));
}

const eventLine =
  /^(retry: \d+|event: (subscribed|message|gap|unsubscribed|disconnect)|id: [\w-]+|data: \{[^\r\n]*\}|:)?$/;

/** What is wrong with lines of an event stream. */
export function eventProblems(lines: readonly string[]): string[] {
  return lines.filter((line) => !eventLine.test(line) || line.startsWith(`id: ${mark}`) || line === "retry: 1");
}
