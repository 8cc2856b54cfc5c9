/** Idempotency keys as they stand in the row of a transaction: which log and epoch, at which offset, and the key. */
import type { ByteWriter } from "../../lib/byte-writer.ts";
import type { IdempotencyKeys } from "../memory/idempotency.ts";
import type { StoredLog } from "./log.ts";
import type { Statements, TurnRow } from "./schema.ts";

/** A key that a transaction has used. */
export interface UsedKey {
  readonly log: StoredLog;
  readonly key: string;
  readonly offset: number;
}

/** Rows read at once. */
const rowsAtOnce = 256;

export function encodeKeys(writer: ByteWriter, keys: readonly UsedKey[]): Uint8Array {
  writer.reset();
  for (const { log, key, offset } of keys) {
    writer.u32(log.id);
    writer.u32(log.epoch);
    writer.u64(offset);
    writer.u32(Buffer.byteLength(key));
    writer.utf8(key);
  }
  return writer.view();
}

/** Remembers the keys of a store that were used after `sinceAgeMs`, of logs that are still there. */
export function loadKeys(
  keys: IdempotencyKeys,
  logs: ReadonlyMap<number, StoredLog>,
  statements: Statements,
  sinceAgeMs: number,
): void {
  let seq = 0;
  for (;;) {
    const rows = statements.turnsSince.all(seq, sinceAgeMs, rowsAtOnce);
    for (const row of rows) {
      remember(keys, logs, row);
      seq = row.seq;
    }
    if (rows.length < rowsAtOnce) return;
  }
}

function remember(keys: IdempotencyKeys, logs: ReadonlyMap<number, StoredLog>, { age, keys: bytes }: TurnRow): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < buffer.length;) {
    const log = logs.get(buffer.readUInt32BE(at));
    const epoch = buffer.readUInt32BE(at + 4);
    const offset = buffer.readUInt32BE(at + 8) * 0x1_0000_0000 + buffer.readUInt32BE(at + 12);
    const start = at + 20;
    at = start + buffer.readUInt32BE(at + 16);
    if (log !== undefined && isIn(log, epoch, offset)) keys.add(log, buffer.toString("utf8", start, at), offset, age);
  }
}

/** A log in a new epoch has what the one before had up to where that got. */
function isIn({ epoch, previous }: StoredLog, of: number, offset: number): boolean {
  return of === epoch || (of === previous?.epoch && offset <= previous.offset);
}
