/** What can be wrong with a store on disk, told apart by what helps. */
import { SQLiteError } from "bun:sqlite";

/**
 * `busy`: another process has it. `full`: the disk is. `readOnly`: it may not be written. `damaged`: it is not what was written.
 * `foreign`: somebody else's database, or a newer format. `failed`: reading or writing did not work for another reason.
 */
export type TroubleKind = "busy" | "full" | "readOnly" | "damaged" | "foreign" | "failed";

export class StoreTrouble extends Error {
  readonly kind: TroubleKind;

  constructor(kind: TroubleKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "StoreTrouble";
    this.kind = kind;
  }
}

const kinds: readonly (readonly [code: RegExp, kind: TroubleKind])[] = [
  [/^SQLITE_(BUSY|LOCKED)/, "busy"],
  [/^SQLITE_FULL|^(ENOSPC|EDQUOT|EFBIG)$/, "full"],
  [/^SQLITE_READONLY|^(EROFS|EACCES|EPERM)$/, "readOnly"],
  // A page that the file is too short for is damage, not a disk that cannot be read.
  [/^SQLITE_(CORRUPT|NOTADB)|^SQLITE_IOERR_(SHORT_READ|CORRUPTFS)/, "damaged"],
  [/^SQLITE_|^E[A-Z]+$/, "failed"],
];

/** What an error of SQLite or of the file system means; null: it is neither, but a fault of this program. */
export function troubleOf(error: unknown): StoreTrouble | null {
  if (error instanceof StoreTrouble) return error;
  if (!(error instanceof Error) || !("code" in error)) return null;
  // Without a code of its own it is one of the wrong use of SQLite.
  if (error instanceof SQLiteError && error.code === undefined) return null;
  const found = kinds.find(([code]) => code.test(String(error.code)));
  return found === undefined ? null : new StoreTrouble(found[1], error.message, { cause: error });
}
