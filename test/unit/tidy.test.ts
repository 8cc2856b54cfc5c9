/** House rules that neither the type checker nor the linter holds. */
import { expect, test } from "bun:test";
import { filesIn, importsOf, read, resolveImport, withoutComments } from "../harness/source-tree.ts";

const linesMax = 350;
/** Tables are as long as what they list. */
const tables = new Set(["src/core/codes.ts", "src/config/options.ts"]);
/** Development packages that nothing imports, and the file that shows their use. */
const tools: Readonly<Record<string, { readonly file: string; readonly sign: string }>> = {
  node: { file: "test/e2e/sdk/runtimes.ts", sign: "node_modules/node/bin/node" },
  "bun-types": { file: "tsconfig.json", sign: '"types": ["bun-types"]' },
  oxlint: { file: ".ci/gate", sign: "oxlint" },
  "oxlint-tsgolint": { file: ".oxlintrc.json", sign: '"typeAware": true' },
};

interface SourceFile {
  readonly path: string;
  readonly source: string;
}

async function load(folders: readonly string[]): Promise<SourceFile[]> {
  const paths = folders.flatMap((folder) => filesIn(folder));
  return await Promise.all(paths.map(async (path) => ({ path, source: await read(path) })));
}

const source = await load(["src"]);
const tests = await load(["test"]);
const everything = [...source, ...tests, ...(await load(["bench", "examples"]))];
const pathsWhere = (files: readonly SourceFile[], holds: (file: SourceFile) => boolean) =>
  files.filter(holds).map(({ path }) => path);

const opens = (text: string) => /^(#!.*\n)?\/\*\*[\s*]+[^\s*/][\s\S]*?\*\//.test(text);
const skips = (text: string) =>
  /\b(test|it|describe)(\.\w+)*\.(skip|only|todo|failing|if|skipIf|todoIf)\b|\bx(test|it|describe)\(/.test(text);
const owes = (text: string) => /\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))/.test(text);
const hasVagueName = (path: string) => /(^|[/.-])(utils?|helpers?|misc|common|manager|index|stuff)([/.-]|$)/.test(path);

test("every file of src opens with what it owns", () => {
  expect(source.length).toBeGreaterThan(10);
  expect(pathsWhere(source, (file) => !opens(file.source))).toEqual([]);
  expect([opens("/** Tags. */\n"), opens("#!/usr/bin/env bun\n/**\n * Tags.\n */\n")]).toEqual([true, true]);
  expect([opens('import "x";\n/** Tags. */'), opens("// Tags\n"), opens("/** */\n")]).toEqual([false, false, false]);
});

test(`no file of src is longer than ${linesMax} lines, except tables`, () => {
  const lines = (text: string) => text.split("\n").length - 1;
  expect(pathsWhere(source, (file) => lines(file.source) > linesMax && !tables.has(file.path))).toEqual([]);
});

test("no test is skipped, singled out or left for later", () => {
  expect(pathsWhere(tests, (file) => skips(file.source))).toEqual([]);
  const dot = ".";
  expect([skips(`test${dot}skip("x")`), skips(`describe${dot}only("x")`), skips(`it${dot}skipIf(true)("x")`)]).toEqual([
    true,
    true,
    true,
  ]);
});

test("what is left to do is an issue with a number", () => {
  expect(pathsWhere(everything, (file) => !file.path.endsWith("tidy.test.ts") && owes(file.source))).toEqual([]);
  expect([owes("// TODO later"), owes("// TODO(#12) later"), owes("todo")]).toEqual([true, false, false]);
});

test("files are named by what they hold", () => {
  expect(everything.map(({ path }) => path).filter(hasVagueName)).toEqual([]);
  expect(["src/lib/utils.ts", "src/hub/index.ts", "test/helpers/x.ts"].filter(hasVagueName)).toHaveLength(3);
  expect(hasVagueName("src/hub/patterns.ts")).toBe(false);
});

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(await read("package.json")) as Manifest;
const entries = [...Object.values(manifest.bin), ...Object.values(manifest.exports)].map((path) =>
  path.replace("./", ""),
);

/** Files that no chain of imports reaches from the entries. `also` names files started in another way, as `bun src/x.ts`. */
function unreached(files: readonly SourceFile[], also: readonly string[]): string[] {
  const imported = new Map(
    files.map(({ path, source: text }) => [path, importsOf(text).map((i) => resolveImport(path, i.specifier))]),
  );
  const seen = new Set<string | null>();
  const open: (string | null)[] = [...also];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    open.push(...(imported.get(path ?? "") ?? []));
  }
  return files.map(({ path }) => path).filter((path) => !seen.has(path));
}

test("every file of src is part of the program", async () => {
  expect(entries.filter((path) => !source.some((file) => file.path === path))).toEqual([]);
  const programs = pathsWhere(source, (file) => withoutComments(file.source).includes("import.meta.main"));
  // Declarations of what has no types of its own are the compiler's alone.
  const running = source.filter((file) => !file.path.endsWith(".d.ts"));
  expect(unreached(running, [...entries, ...programs])).toEqual([]);
  const files = [
    { path: "src/main.ts", source: 'import { a } from "./a.ts";' },
    { path: "src/a.ts", source: "" },
    { path: "src/b.ts", source: 'import { a } from "./a.ts";' },
  ];
  expect(unreached(files, ["src/main.ts"])).toEqual(["src/b.ts"]);
});

const packageOf = (specifier: string) => /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)?.[0] ?? specifier;
const isPackage = (specifier: string) => !/^(\.|node:|bun(:|$))/.test(specifier);
const packagesOf = (files: readonly SourceFile[]) =>
  new Set(
    files.flatMap((file) =>
      importsOf(file.source)
        .map((i) => i.specifier)
        .filter(isPackage)
        .map(packageOf),
    ),
  );

test("what src and the page that it serves import is a dependency, and every dependency is imported", async () => {
  const page = await load(["examples/browser"]);
  const imported = packagesOf([...source, ...page]);
  // The page uses the SDK by its public name.
  imported.delete("tagcast");
  expect([...imported].sort()).toEqual(Object.keys(manifest.dependencies).sort());
});

test("every development dependency has its use", async () => {
  const imported = packagesOf(everything);
  for (const name of Object.keys(manifest.devDependencies)) {
    const tool = tools[name];
    const used = tool === undefined ? imported.has(name) : (await read(tool.file)).includes(tool.sign);
    expect({ name, used }).toEqual({ name, used: true });
  }
});

test("packages have exact versions, those of bun.lock", async () => {
  const asked = { ...manifest.dependencies, ...manifest.devDependencies };
  expect(Object.entries(asked).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  const lock = Bun.JSONC.parse(await read("bun.lock")) as { workspaces: Record<string, Partial<Manifest>> };
  const locked = lock.workspaces[""];
  expect({ ...locked?.dependencies, ...locked?.devDependencies }).toEqual(asked);
});
