/** The project's own files as text, for tests that hold its conventions. Paths are relative to the repository's root. */
import { posix } from "node:path";

export const root = new URL("../../", import.meta.url).pathname;

/** Sorted; absent folders hold nothing. */
export function filesIn(folder: string, pattern = "**/*.ts"): string[] {
  const glob = new Bun.Glob(`${folder}/${pattern}`);
  const paths = [...glob.scanSync({ cwd: root, dot: true })].map((path) => posix.normalize(path));
  return paths.filter((path) => !path.includes("node_modules/")).sort();
}

export function read(path: string): Promise<string> {
  return Bun.file(root + path).text();
}

export interface Import {
  /** As written: `../core/tag.ts`, `node:path`, `zod`. */
  readonly specifier: string;
  /** `import type …` or `export type … from`: gone when the program runs. */
  readonly typeOnly: boolean;
}

const clause = /^[ \t]*(?:import|export)\s+(type\s+)?[\w\s{},*$]*?\bfrom\s*["']([^"'\n]+)["']/gm;
const bare = /^[ \t]*import\s*["']([^"'\n]+)["']/gm;
const call = /\b(?:import|require)\s*\(\s*["'`]([^"'`\n]+)["'`]/g;

/** Every import, re-export and import() of a file, types included (which `Bun.Transpiler` leaves out). */
export function importsOf(source: string): Import[] {
  const text = withoutComments(source);
  return [
    ...[...text.matchAll(clause)].map(([, type, specifier = ""]) => ({ specifier, typeOnly: type !== undefined })),
    ...[...text.matchAll(bare)].map(([, specifier = ""]) => ({ specifier, typeOnly: false })),
    ...[...text.matchAll(call)].map(([, specifier = ""]) => ({ specifier, typeOnly: false })),
  ];
}

/** The file that a relative import of `from` means; null for packages and built-in modules. */
export function resolveImport(from: string, specifier: string): string | null {
  return specifier.startsWith(".") ? posix.normalize(posix.join(posix.dirname(from), specifier)) : null;
}

/** Whole-line and block comments go; what follows code on its line stays, since `//` may stand in a string. */
export function withoutComments(source: string): string {
  return source.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, "").replace(/^[ \t]*\/\/.*$/gm, "");
}
