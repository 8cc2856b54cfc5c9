/** The documents name files that exist, and link to places that exist. */
import { expect, test } from "bun:test";
import { posix } from "node:path";
import { filesIn, read } from "../../harness/source-tree.ts";

const architecture = "docs/architecture.md";
const folders = ["src", "test", "bench", "examples", "docs", ".ci"];
const documents = [...filesIn(".", "*.md"), ...folders.flatMap((folder) => filesIn(folder, "**/*.md"))];
const known = new Set([...filesIn(".", "*"), ...folders.flatMap((folder) => filesIn(folder, "**/*"))]);
const knownFolders = new Set([...known].flatMap(foldersOf));

/** `a/b/c.ts` → `a`, `a/b` */
function foldersOf(path: string): string[] {
  const levels = path.split("/").slice(0, -1);
  return levels.map((_, i) => levels.slice(0, i + 1).join("/"));
}

/** Paths that stand as inline code, from the root of the repository: with a slash, or with an extension of ours. */
function pathsIn(markdown: string): string[] {
  const code = [...prose(markdown).matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
  return code.filter((text) => /^\.?[\w-][\w./-]*$/.test(text) && /\/|\.(ts|json|md|toml|lock|py)$/.test(text));
}

function absent(paths: readonly string[]): string[] {
  return paths.filter((path) => !known.has(path) && !knownFolders.has(path.replace(/\/$/, "")));
}

/** Without fenced blocks. */
function prose(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, "");
}

test("architecture.md names only files that exist", async () => {
  const named = pathsIn(await read(architecture));
  expect(new Set(named).size).toBeGreaterThan(30);
  expect(absent(named)).toEqual([]);
  expect(absent(pathsIn("`src/hub/hub.ts`, `src/gone.ts`, `docs/`, `src/nowhere/` and `latest`"))).toEqual([
    "src/gone.ts",
    "src/nowhere/",
  ]);
});

test("architecture.md names every room", async () => {
  const rooms = new Set(filesIn("src").map((path) => path.split("/").slice(0, 2).join("/")));
  const named = pathsIn(await read(architecture)).map((path) => path.replace(/\/$/, ""));
  expect([...rooms].filter((room) => !named.includes(room))).toEqual([]);
});

interface Link {
  readonly path: string;
  readonly anchor: string | undefined;
}

/** Links of a document to other files of the repository, or to a heading. */
function linksIn(document: string, markdown: string): Link[] {
  const targets = [...prose(markdown).matchAll(/\[[^\]\n]*\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = "", anchor] = target.split("#");
      return { path: path === "" ? document : posix.normalize(posix.join(posix.dirname(document), path)), anchor };
    });
}

/** Headings as GitHub makes anchors of them. */
function anchorsIn(markdown: string): string[] {
  const headings = [...prose(markdown).matchAll(/^#{1,6} +(.+)$/gm)].map(([, text = ""]) => text.trim());
  return headings.map((text) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/ /g, "-"),
  );
}

async function broken(document: string, markdown: string): Promise<string[]> {
  const found: string[] = [];
  for (const { path, anchor } of linksIn(document, markdown)) {
    const text = path === document ? markdown : known.has(path) && path.endsWith(".md") ? await read(path) : null;
    if (absent([path]).length > 0 && text === null) found.push(`${document}: ${path}`);
    else if (anchor !== undefined && (text === null || !anchorsIn(text).includes(anchor)))
      found.push(`${document}: ${path}#${anchor}`);
  }
  return found;
}

test("links between documents lead somewhere", async () => {
  expect(documents).toContain("README.md");
  expect((await Promise.all(documents.map(async (path) => broken(path, await read(path))))).flat()).toEqual([]);
});

test("a broken link is found", async () => {
  const text =
    "# Some *heading*, here\n[a](gone.md) [b](architecture.md) [c](#some-heading-here) [d](#other) [e](https://x.y/z.md)";
  expect(await broken("docs/x.md", text)).toEqual(["docs/x.md: docs/gone.md", "docs/x.md: docs/x.md#other"]);
});
