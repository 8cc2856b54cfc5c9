/** Inputs that were found once, by target: a file each, `[{"name", "hex"}]`. Each was a failure before it was fixed, or nearly one. */
import { join } from "node:path";

export interface Found {
  /** What it showed. */
  readonly name: string;
  readonly hex: string;
}

/** None where nothing was found yet. */
export async function loadCorpus(target: string): Promise<readonly Found[]> {
  const file = Bun.file(join(import.meta.dir, "corpus", `${target}.json`));
  return (await file.exists()) ? ((await file.json()) as readonly Found[]) : [];
}
