/** docs/security.md against the options, the metrics, the tests and the source: what it promises is there. */
import { expect, test } from "bun:test";
import { optionRows } from "../../../src/config/options.ts";
import { formatValue } from "../../../src/config/values.ts";
import { memoryMetrics } from "../../../src/observe/memory-metrics.ts";
import { filesIn, read } from "../../harness/source-tree.ts";

type Row = Readonly<Record<string, string>>;

const document = await read("docs/security.md");
const options = new Map<string, (typeof optionRows)[number][1]>(optionRows.map(([, option]) => [option.key, option]));
/** Generated, and held against the tables by a test of its own. */
const metrics = new Set([...(await read("docs/metrics.md")).matchAll(/^\| `(\w+)`/gm)].map(([, name = ""]) => name));
const files = new Set([...filesIn("test"), ...filesIn("src"), ...filesIn(".ci", "*")]);

/** The rows of all tables that have these columns. */
function rowsWith(markdown: string, ...columns: readonly string[]): Row[] {
  const rows: Row[] = [];
  for (const table of markdown.match(/(^\|.*\|\n)+/gm) ?? []) {
    const [head = [], , ...body] = table.trimEnd().split("\n").map(cellsOf);
    if (!columns.every((column) => head.includes(column))) continue;
    for (const cells of body) rows.push(Object.fromEntries(head.map((name, i) => [name, cells[i] ?? ""])));
  }
  return rows;
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, -1)
    .split("|")
    .map((cell) => cell.trim());
}

function codeIn(cell = ""): string[] {
  return [...cell.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
}

const threats = rowsWith(document, "threat", "defence", "setting", "default", "test");
const grown = rowsWith(document, "what grows", "bound", "default", "gauge", "at the bound", "test");

test("every row names a test that exists, and every attack is named by a row", () => {
  expect([threats.length > 30, grown.length > 20]).toEqual([true, true]);
  const rows = [...threats, ...grown];
  expect(rows.filter(({ test: named }) => codeIn(named).length === 0)).toEqual([]);
  const named = new Set(rows.flatMap(({ test: cell }) => codeIn(cell)));
  expect([...named].filter((path) => !files.has(path))).toEqual([]);
  const attacks = filesIn("test/e2e/abuse", "**/*.test.ts");
  expect(attacks.filter((path) => !named.has(path))).toEqual([]);
});

test("metrics that are named are metrics", () => {
  const named = [...document.matchAll(/`(tagcast_[a-z_]+)/g)].map(([, name = ""]) => name);
  expect(named.filter((name) => !metrics.has(name))).toEqual([]);
});

test("settings that are named are settings", async () => {
  const known = new Set(codeIn(await read("docs/config.md")).map((text) => text.replace(/^--/, "")));
  const named = threats.flatMap(({ setting }) => codeIn(setting)).filter((text) => /^[a-z]+(-[a-z0-9]+)*$/.test(text));
  // Of grants.
  known.add("deny");
  expect(named.filter((key) => !known.has(key))).toEqual([]);
});

test("each bound on memory has the default that is told: of its option, or of a constant in the source", async () => {
  for (const { bound, default: told } of grown) {
    const [name = "", path] = codeIn(bound);
    const option = options.get(name);
    if (path === undefined) {
      expect({ name, told }).toEqual({ name, told: option === undefined ? "" : formatValue(option, option.default) });
      continue;
    }
    const [, value = ""] = new RegExp(`const ${name} = ([\\d_* ]+);`).exec(await read(path)) ?? [];
    const product = value.split("*").reduce((all, factor) => all * Number(factor.replaceAll("_", "")), 1);
    expect({ name, told }).toEqual({ name, told: String(product) });
  }
});

test("every limit that can be turned off is in the document, and every gauge of memory in its table", () => {
  const code = new Set([...document.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text));
  const limits = [...options.values()].filter((option) => "off" in option).map(({ key }) => key);
  expect(limits.filter((key) => !code.has(key))).toEqual([]);
  const gauges = memoryMetrics.filter(({ type }) => type === "gauge").map(({ name }) => name);
  const listed = new Set(grown.flatMap(({ gauge }) => codeIn(gauge)));
  expect(gauges.filter((name) => !listed.has(name))).toEqual([]);
});

test("a table that says something else is found out", () => {
  const [row] = rowsWith("| a | b |\n|---|---|\n| x `y` | `z.ts` |\n", "a", "b");
  expect([row, codeIn(row?.["a"])]).toEqual([{ a: "x `y`", b: "`z.ts`" }, ["y"]]);
  expect(rowsWith("| a | b |\n|---|---|\n| 1 | 2 |\n", "c")).toEqual([]);
});
