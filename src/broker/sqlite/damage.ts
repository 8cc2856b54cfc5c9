/** Recognises a store that is not what was written, and puts it out of the way. */
import { copyFileSync, renameSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { checkedEntry } from "./reading.ts";
import { pageBytes } from "./schema.ts";
import { guarded, isThere, type StoreFile, syncDirectory, walOf } from "./store-file.ts";
import { StoreTrouble } from "./trouble.ts";

/** A store of so many bytes is read as a whole at the start; a larger one as it is used. */
const readWholeBytesMax = 32 * 1024 ** 2;
const entriesAtOnce = 64;

/** @throws StoreTrouble `damaged`; the write-ahead log has to be in the database */
export function verify(file: StoreFile): void {
  guarded(() => {
    const [short] = missingBytes(file);
    if (short !== undefined) throw new StoreTrouble("damaged", short);
    if (file.sizes.fileBytes > readWholeBytesMax) return;
    const [problem] = structuralProblems(file, 1);
    if (problem !== undefined) throw new StoreTrouble("damaged", problem);
    verifyEntries(file, () => {});
  });
}

/** Whether the file is too short. The write-ahead log has to be in it. */
export function missingBytes({ statements, sizes: { fileBytes } }: StoreFile): string[] {
  const wantedBytes = (statements.pageCount.get()?.page_count ?? 0) * pageBytes;
  return fileBytes < wantedBytes ? [`It has ${fileBytes} bytes instead of ${wantedBytes}`] : [];
}

/** What SQLite finds wrong with pages and trees. */
export function structuralProblems({ db }: StoreFile, most: number): string[] {
  const rows = db.query<{ quick_check: string }, []>(`PRAGMA quick_check(${most})`).all();
  return rows.map((row) => row.quick_check).filter((text) => text !== "ok");
}

/** Reads every entry. `each` is told of each. @throws StoreTrouble `damaged` at the first that has changed */
export function verifyEntries(
  { statements }: StoreFile,
  each: (log: number, first: number, last: number) => void,
): void {
  let log = 0;
  let last = 0;
  for (;;) {
    const rows = statements.someEntries.all(log, last, entriesAtOnce);
    for (const row of rows) {
      checkedEntry(row);
      ({ log, last } = row);
      each(log, last - row.count + 1, last);
    }
    if (rows.length < entriesAtOnce) return;
  }
}

/** Renames a store's files; returns the name that they have now. @throws where that cannot be */
export function setAside(path: string, wallMs: number): string {
  const name = `${path}.damaged-${stamp(wallMs)}`;
  if (isThere(path)) renameSync(path, name);
  if (isThere(walOf(path))) renameSync(walOf(path), walOf(name));
  syncDirectory(dirname(resolve(path)));
  return name;
}

/** Keeps a copy of a write-ahead log of which not all can be used. */
export function keepWal(path: string, wallMs: number): string {
  const name = `${walOf(path)}.damaged-${stamp(wallMs)}`;
  copyFileSync(walOf(path), name);
  return name;
}

function stamp(wallMs: number): string {
  return new Date(wallMs).toISOString().replaceAll(/[-:]/g, "").replace("T", "-").replace("Z", "");
}
