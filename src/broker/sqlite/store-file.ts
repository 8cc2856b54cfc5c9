/**
 * The file of a store: made, opened for this process alone, brought to disk, closed. What is written to it and when, others
 * say.
 *
 * SQLite is told not to wait for the disk: a transaction is in the write-ahead log once it is committed, and on disk once
 * `sync` settles, which waits on another thread. A checkpoint is the same in two steps; nothing may be committed while it is under
 * way, since SQLite begins the log anew once all of it stands in the database.
 */
import { constants, Database } from "bun:sqlite";
import {
  chmodSync,
  closeSync,
  fdatasync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { applicationId, formatVersion, pageBytes, schema, Statements } from "./schema.ts";
import { StoreTrouble, troubleOf } from "./trouble.ts";

/** Of the write-ahead log, beyond which its file is cut when it begins anew. */
const walKeptBytes = 8 * 1024 ** 2;
/** Of pages in memory. */
const cacheKiB = 4096;

export class StoreFile {
  readonly path: string;
  readonly db: Database;
  readonly statements: Statements;
  readonly #dbFile: number;
  readonly #walFile: number;
  readonly #flush: Flush;
  #isClosed = false;

  /** Use `openStoreFile`. */
  constructor(path: string, db: Database, flush: Flush) {
    this.path = path;
    this.db = db;
    this.#flush = flush;
    this.statements = new Statements(db);
    // Opened and closed by us, a file loses the locks that this process has on it: it stays open for as long as SQLite has it.
    this.#dbFile = openSync(path, "r");
    this.#walFile = openSync(walOf(path), "r");
  }

  /** Settles once what was committed before is on disk. */
  sync(): Promise<void> {
    return this.#flush(this.#walFile, walOf(this.path));
  }

  /** Pages in the write-ahead log that are not in the database yet. */
  get walPages(): number {
    const state = this.statements.walState.get();
    return state === null ? 0 : state.log - state.checkpointed;
  }

  /**
   * Brings all of the write-ahead log into the database; settles once that is on disk. Everything committed has to be on disk, and
   * nothing may be committed until it settles. @throws (rejects) SQLiteError: as if nothing had been done; else the disk failed
   */
  async checkpoint(): Promise<void> {
    this.db.run("PRAGMA synchronous = OFF");
    try {
      this.statements.checkpoint.get();
    } finally {
      this.db.run("PRAGMA synchronous = NORMAL");
    }
    await this.#flush(this.#dbFile, this.path);
  }

  /** Bytes of pages in use, those of this transaction too. */
  get usedBytes(): number {
    const pages = this.statements.pageCount.get()?.page_count ?? 0;
    return (pages - this.freePages) * pageBytes;
  }

  get freePages(): number {
    return this.statements.freePages.get()?.freelist_count ?? 0;
  }

  /** Gives up to `pages` unused ones back to the file system. */
  shrink(pages: number): void {
    this.db.run(`PRAGMA incremental_vacuum(${pages})`);
  }

  /** Bytes on disk. */
  get sizes(): { readonly fileBytes: number; readonly walBytes: number } {
    return { fileBytes: sizeOf(this.path), walBytes: sizeOf(walOf(this.path)) };
  }

  /** Brings everything to disk and lets go of the file. @throws where that fails; then too it is let go */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.statements.finalize();
    try {
      this.db.close(true);
    } finally {
      closeSync(this.#walFile);
      closeSync(this.#dbFile);
    }
  }
}

export interface StoreFileOptions {
  /** Leave the write-ahead log as it is, for who opens the store next; default false. */
  readonly keepsWal?: boolean;
  /** Replaced only by tests. */
  readonly flush?: Flush;
}

/** Settles once what was written to a file before is on disk. */
export type Flush = (file: number, path: string) => Promise<void>;

/** Opens a store for this process alone; makes it where there is none. @throws StoreTrouble */
export function openStoreFile(path: string, { keepsWal = false, flush = flushed }: StoreFileOptions = {}): StoreFile {
  return guarded(() => {
    if (!isThere(path)) createStoreFile(path);
    if (sizeOf(path) === 0) throw new StoreTrouble("damaged", "It is empty");
    const db = new Database(path, { readwrite: true, create: false });
    try {
      // Before anything is read: the write-ahead log is then kept from other processes, and needs no file in shared memory.
      db.run("PRAGMA locking_mode = EXCLUSIVE");
      checkIdentity(db);
      db.run("PRAGMA journal_mode = WAL");
      db.run("PRAGMA synchronous = NORMAL");
      db.run("PRAGMA wal_autocheckpoint = 0");
      db.run(`PRAGMA journal_size_limit = ${keepsWal ? -1 : walKeptBytes}`);
      if (keepsWal) db.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
      db.run(`PRAGMA cache_size = -${cacheKiB}`);
      db.run("BEGIN IMMEDIATE");
      db.run("COMMIT");
      return new StoreFile(path, db, flush);
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

export function walOf(path: string): string {
  return `${path}-wal`;
}

/** Runs what uses a store's file; what goes wrong is thrown as `StoreTrouble`. */
export function guarded<T>(use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw troubleOf(error) ?? error;
  }
}

/** A store is there whole or not at all: a power cut while it is made leaves nothing under its name. */
export function createStoreFile(path: string): void {
  const directory = dirname(resolve(path));
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // A log without its database: what is in it would be taken for a part of the new one.
  if (isThere(walOf(path))) renameSync(walOf(path), `${walOf(path)}.orphaned-${Date.now()}`);
  const draft = `${path}.new`;
  for (const name of [draft, walOf(draft), `${draft}-journal`]) rmSync(name, { force: true });
  const db = new Database(draft, { readwrite: true, create: true });
  try {
    chmodSync(draft, 0o600);
    db.run(`PRAGMA page_size = ${pageBytes}`);
    db.run("PRAGMA auto_vacuum = INCREMENTAL");
    db.run("BEGIN");
    db.run(schema);
    db.run(`PRAGMA application_id = ${applicationId}`);
    db.run(`PRAGMA user_version = ${formatVersion}`);
    db.run("COMMIT");
    db.run("PRAGMA journal_mode = WAL");
  } finally {
    db.close(true);
  }
  place(draft, path);
  syncDirectory(directory);
}

/** Never over another: one that was made meanwhile is taken. */
function place(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    // File systems of memory cards know no links.
    if (code !== "EEXIST") return renameSync(draft, path);
  }
  rmSync(draft, { force: true });
}

function checkIdentity(db: Database): void {
  const read = (name: string) => Number(Object.values(db.query(`PRAGMA ${name}`).get() ?? {})[0]);
  if (read("application_id") !== applicationId)
    throw new StoreTrouble("foreign", "It is a database of another program");
  const version = read("user_version");
  if (version > formatVersion)
    throw new StoreTrouble("foreign", `It has format ${version}, of a newer version of tagcast`);
}

/** What was renamed or made in a directory survives a power cut only once the directory is on disk. */
export function syncDirectory(directory: string): void {
  const file = openSync(directory, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function flushed(file: number): Promise<void> {
  return new Promise((done, failed) => fdatasync(file, (error) => (error ? failed(error) : done())));
}

export function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
