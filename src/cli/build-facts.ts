/** What this program was built from, and for which machine: put into the executable by `src/build.ts`. */

export interface BuildFacts {
  /** The commit, 40 hex digits, with `+changes` where the tree had some; null: not known. */
  readonly commit: string | null;
  /** As in the executable's name, `linux-x64-musl`; `source`: run by Bun from its files. */
  readonly target: string;
  /** Date of the commit, ISO 8601: the same sources give the same executable, whenever it is built. */
  readonly date: string | null;
}

declare const TAGCAST_BUILD: BuildFacts | undefined;

export const buildFacts: BuildFacts =
  typeof TAGCAST_BUILD === "undefined" ? { commit: null, target: "source", date: null } : TAGCAST_BUILD;
