/** Reads the messages of a log: checked, so that what is not what was written is never handed out. */
import type { Page, PageLimits, Stored } from "../broker.ts";
import { EntryReader } from "../entry.ts";
import type { StoredLog } from "./log.ts";
import type { EntryRow, Statements } from "./schema.ts";
import { StoreTrouble } from "./trouble.ts";

/** Entries read at once. */
const entriesAtOnce = 32;

/** @throws StoreTrouble `damaged` */
export function readPage(statements: Statements, log: StoredLog, after: number, limits: PageLimits): Page {
  const { epoch, top, oldest, previous } = log;
  const messages = limits.count > 0 ? messagesOf(statements, log, Math.max(after, oldest - 1), limits) : [];
  const page = { epoch, top, oldest, messages };
  return previous === null ? page : { ...page, previous };
}

function messagesOf(statements: Statements, log: StoredLog, after: number, limits: PageLimits): Stored[] {
  const messages: Stored[] = [];
  let bytes = 0;
  let last = after;
  while (last < log.top) {
    const rows = statements.entriesAfter.all(log.id, last, log.top, Math.min(entriesAtOnce, limits.count));
    if (rows.length === 0) throw new StoreTrouble("damaged", `Offset ${last + 1} of a log is missing`);
    for (const row of rows) {
      const entry = checkedEntry(row);
      if (row.last - row.count > last) throw new StoreTrouble("damaged", `Offset ${last + 1} of a log is missing`);
      for (let offset = row.last - row.count + 1; offset <= row.last; offset++) {
        if (offset <= after) {
          entry.skip();
          continue;
        }
        bytes += entry.nextBytes;
        if (messages.length >= limits.count || (bytes > limits.bytes && messages.length > 0)) return messages;
        const { bytes: own, payloadLength } = entry.next();
        messages.push({ bytes: own, payloadLength, offset, timeMs: row.time });
      }
      last = row.last;
    }
  }
  return messages;
}

/** @throws StoreTrouble `damaged` where it is not what was written */
export function checkedEntry({ body, crc, count, last }: EntryRow): EntryReader {
  if (Bun.hash.crc32(body) !== crc) throw new StoreTrouble("damaged", `An entry of ${count} messages has changed`);
  const entry = new EntryReader(Buffer.from(body.buffer, body.byteOffset, body.length));
  if (entry.count !== count || count > last)
    throw new StoreTrouble("damaged", "An entry has another number of messages");
  return entry;
}
