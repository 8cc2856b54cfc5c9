/**
 * What stands in the database of a store, and every statement on it.
 *
 *   logs      a row a tag: its epoch, and where it had got to when it last ran empty
 *   entries   a row a tag and batch, clustered by tag: what is read together stands together
 *   turns     a row a transaction that has keys, in the order of time: they go as they came
 *   meta      how the store was last started and stopped
 */
import type { Database, Statement } from "bun:sqlite";

/** "tgc1" */
export const applicationId = 0x7467_6331;
export const formatVersion = 1;
export const pageBytes = 4096;

export const schema = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE logs (
  id INTEGER PRIMARY KEY, app TEXT NOT NULL, tag TEXT NOT NULL, epoch INTEGER NOT NULL,
  -- Of the newest message when the log last ran empty; 0: nothing was ever appended.
  top INTEGER NOT NULL, time INTEGER NOT NULL,
  ttl INTEGER NOT NULL, previous_epoch INTEGER NOT NULL, previous_offset INTEGER NOT NULL,
  -- Its entries are being deleted.
  gone INTEGER NOT NULL);
CREATE TABLE entries (
  log INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
  time INTEGER NOT NULL, age INTEGER NOT NULL,
  -- Bytes of messages in this entry, and in the log up to and with it.
  bytes INTEGER NOT NULL, sum INTEGER NOT NULL,
  crc INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (log, last)) WITHOUT ROWID;
CREATE TABLE turns (seq INTEGER PRIMARY KEY, age INTEGER NOT NULL, wall INTEGER NOT NULL, keys BLOB NOT NULL);
`;

export interface LogRow {
  readonly id: number;
  readonly app: string;
  readonly tag: string;
  readonly epoch: number;
  readonly top: number;
  readonly time: number;
  readonly ttl: number;
  readonly previous_epoch: number;
  readonly previous_offset: number;
  readonly gone: number;
}

/** An entry without its messages. */
export interface BoundsRow {
  readonly last: number;
  readonly count: number;
  readonly time: number;
  readonly age: number;
  readonly bytes: number;
  readonly sum: number;
}

export interface EntryRow {
  readonly last: number;
  readonly count: number;
  readonly time: number;
  readonly crc: number;
  readonly body: Uint8Array;
}

export interface TurnRow {
  readonly seq: number;
  readonly age: number;
  readonly wall: number;
  readonly keys: Uint8Array;
}

type Parameter = number | string | Uint8Array;
type Query<Row> = Statement<Row, Parameter[]>;

const bounds = "SELECT last, count, time, age, bytes, sum FROM entries WHERE log = ?";

/** Prepared once; `finalize` before the database is closed. */
export class Statements {
  readonly #all: { finalize(): void }[] = [];
  readonly begin;
  readonly commit;
  readonly rollback;
  readonly readMeta;
  readonly writeMeta;
  readonly logs;
  readonly saveLog;
  readonly forgetLog;
  readonly newestBounds;
  readonly boundsAfter;
  readonly boundsFresher;
  readonly boundsBeyond;
  readonly entryAt;
  readonly insertEntry;
  readonly entriesAfter;
  readonly someEntries;
  readonly deleteEntries;
  readonly insertTurn;
  readonly newestTurn;
  readonly turnsSince;
  readonly oldestTurn;
  readonly deleteTurns;
  readonly pageCount;
  readonly freePages;
  readonly walState;
  readonly checkpoint;

  constructor(db: Database) {
    const prepare = <Row>(sql: string): Query<Row> => {
      const statement = db.prepare<Row, Parameter[]>(sql);
      this.#all.push(statement);
      return statement;
    };
    this.begin = prepare("BEGIN IMMEDIATE");
    this.commit = prepare("COMMIT");
    this.rollback = prepare("ROLLBACK");
    this.readMeta = prepare<{ value: string }>("SELECT value FROM meta WHERE name = ?");
    this.writeMeta = prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)");
    this.logs = prepare<LogRow>("SELECT * FROM logs ORDER BY id");
    this.saveLog = prepare("INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.forgetLog = prepare("DELETE FROM logs WHERE id = ?");
    this.newestBounds = prepare<BoundsRow>(`${bounds} ORDER BY last DESC LIMIT 1`);
    this.boundsAfter = prepare<BoundsRow>(`${bounds} AND last > ? ORDER BY last LIMIT 1`);
    this.boundsFresher = prepare<BoundsRow>(`${bounds} AND last > ? AND age >= ? ORDER BY last LIMIT 1`);
    this.boundsBeyond = prepare<BoundsRow>(`${bounds} AND last > ? AND sum > ? ORDER BY last LIMIT 1`);
    this.entryAt = prepare<BoundsRow>(`${bounds} AND last > ? ORDER BY last LIMIT 1 OFFSET ?`);
    this.insertEntry = prepare("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.entriesAfter = prepare<EntryRow>(
      "SELECT last, count, time, crc, body FROM entries WHERE log = ? AND last > ? AND last <= ? ORDER BY last LIMIT ?",
    );
    this.someEntries = prepare<EntryRow & { readonly log: number; readonly sum: number }>(
      "SELECT log, last, count, time, sum, crc, body FROM entries WHERE (log, last) > (?, ?) ORDER BY log, last LIMIT ?",
    );
    this.deleteEntries = prepare("DELETE FROM entries WHERE log = ? AND last <= ?");
    this.insertTurn = prepare("INSERT INTO turns (age, wall, keys) VALUES (?, ?, ?)");
    this.newestTurn = prepare<TurnRow>("SELECT * FROM turns ORDER BY seq DESC LIMIT 1");
    this.turnsSince = prepare<TurnRow>("SELECT * FROM turns WHERE seq > ? AND age > ? ORDER BY seq LIMIT ?");
    this.oldestTurn = prepare<TurnRow>("SELECT * FROM turns ORDER BY seq LIMIT 1");
    this.deleteTurns = prepare("DELETE FROM turns WHERE seq < ? AND age <= ?");
    this.pageCount = prepare<{ page_count: number }>("PRAGMA page_count");
    this.freePages = prepare<{ freelist_count: number }>("PRAGMA freelist_count");
    this.walState = prepare<{ busy: number; log: number; checkpointed: number }>("PRAGMA wal_checkpoint(NOOP)");
    this.checkpoint = prepare<{ busy: number; log: number; checkpointed: number }>("PRAGMA wal_checkpoint(PASSIVE)");
  }

  finalize(): void {
    for (const statement of this.#all) statement.finalize();
  }
}
