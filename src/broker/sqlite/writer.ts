/** What one transaction appends: stamped, written, and known in memory only as far as the transaction holds. */
import { errors } from "../../core/codes.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { Appended, AppendedPosition, Batch, Draft, FeedEvent, Stored } from "../broker.ts";
import { entrySize, writeEntry } from "../entry.ts";
import { type IdempotencyKeys } from "../memory/idempotency.ts";
import type { Interest } from "../memory/interest.ts";
import { keptSize } from "../memory/log.ts";
import { encodeKeys, type UsedKey } from "./keys.ts";
import type { LogState, StoredLog } from "./log.ts";
import type { StoredLogs } from "./logs.ts";
import type { Statements } from "./schema.ts";
import type { Trimming } from "./trimming.ts";

/** An entry is no larger, unless one message is: readers take whole entries. */
const entryDraftsMax = 256;
const entryBytesMax = 32 * 1024;

export interface WriterParts {
  readonly statements: Statements;
  readonly logs: StoredLogs;
  readonly trimming: Trimming;
  readonly keys: IdempotencyKeys;
  readonly interest: Interest;
  /** Bytes of the largest message that fits. */
  readonly messageMaxBytes: number;
}

export interface Now {
  readonly wallMs: number;
  readonly ageMs: number;
}

/** What a batch came to, once the transaction is on disk. */
export interface Written {
  readonly appended: Appended;
  /** Null: nothing new, or nobody wants to hear of it. */
  readonly event: FeedEvent | null;
}

/** The messages of a batch that are new, and what their publishers are told. */
interface Stamped {
  readonly fresh: readonly Draft[];
  readonly indices: readonly number[];
  readonly positions: readonly AppendedPosition[];
}

export class Writer {
  readonly #parts: WriterParts;
  readonly #body = new ByteWriter();
  readonly #keyBytes = new ByteWriter();
  /** The log that was written to last. */
  appended: StoredLog | null = null;
  /** Bytes of messages in this transaction. */
  writtenBytes = 0;
  #before = new Map<StoredLog, LogState>();
  #used: UsedKey[] = [];
  #usedHere = new Map<StoredLog, Map<string, number>>();

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** Whether keys of this transaction are to be written. */
  get hasKeys(): boolean {
    return this.#used.length > 0;
  }

  write(batch: Batch, now: Now): Written {
    const { logs, trimming, messageMaxBytes } = this.#parts;
    if (keptSize(batch.rule) === 0) return refusal(errors.noHistory);
    if (batch.drafts.some(({ body }) => body.bytes.length > messageMaxBytes)) return refusal(errors.payloadTooLarge);
    const log = logs.open(batch.app, batch.tag);
    if (!this.#before.has(log)) this.#before.set(log, log.state());
    const first = log.top + 1;
    const timeMs = Math.max(log.timeMs, now.wallMs);
    const stamped = this.#stamp(log, batch, now.ageMs);
    if (stamped.fresh.length > 0) {
      log.timeMs = timeMs;
      this.#insert(log, stamped.fresh, { ...now, wallMs: timeMs });
      trimming.trim(log, batch.rule, now.ageMs);
      if (!log.isSaved) log.save(this.#parts.statements);
      logs.place(log);
      this.appended = log;
    }
    return { appended: { positions: stamped.positions }, event: this.#event(log, batch, { first, timeMs, stamped }) };
  }

  /** Writes the keys of this transaction, and what time it is. */
  writeTurn(now: Now): void {
    const bytes = encodeKeys(this.#keyBytes, this.#used);
    this.#parts.statements.insertTurn.run(now.ageMs, now.wallMs, bytes);
  }

  /** The transaction is on disk: its keys count from now on. */
  committed(now: Now): void {
    for (const { log, key, offset } of this.#used) this.#parts.keys.add(log, key, offset, now.ageMs);
    this.#forget();
  }

  /** The transaction was undone. */
  undone(): void {
    for (const [log, state] of this.#before) {
      log.restore(state);
      this.#parts.logs.recount(log);
    }
    this.#forget();
  }

  #forget(): void {
    this.writtenBytes = 0;
    this.#before = new Map();
    this.#used = [];
    this.#usedHere = new Map();
  }

  #stamp(log: StoredLog, { drafts }: Batch, nowMs: number): Stamped {
    const fresh: Draft[] = [];
    const indices: number[] = [];
    const positions: AppendedPosition[] = [];
    const { epoch } = log;
    let { top } = log;
    for (let i = 0; i < drafts.length; i++) {
      const draft = drafts[i] as Draft;
      const first = draft.key === null ? 0 : this.#find(log, draft.key, nowMs);
      if (first === 0) {
        top++;
        fresh.push(draft);
        indices.push(i);
        if (draft.key !== null) this.#use(log, draft.key, top);
      }
      positions.push({ epoch, offset: first || top, repeated: first > 0 });
    }
    return { fresh, indices, positions };
  }

  #find(log: StoredLog, key: string, nowMs: number): number {
    return this.#usedHere.get(log)?.get(key) ?? this.#parts.keys.find(log, key, nowMs);
  }

  #use(log: StoredLog, key: string, offset: number): void {
    this.#used.push({ log, key, offset });
    const used = this.#usedHere.get(log);
    if (used === undefined) this.#usedHere.set(log, new Map([[key, offset]]));
    else used.set(key, offset);
  }

  #insert(log: StoredLog, bodies: readonly Draft[], { wallMs, ageMs }: Now): void {
    for (let from = 0; from < bodies.length;) {
      const { to, bytes } = extentOf(bodies, from);
      const writer = this.#body;
      writer.reset();
      const span = { bodies, from, to };
      writer.ensure(entrySize(span));
      writeEntry(writer, span);
      const first = log.top + 1;
      log.top += to - from;
      log.oldestEntry ??= { first, last: log.top, ageMs, bytesBefore: log.bytes };
      log.bytes += bytes;
      this.writtenBytes += bytes;
      const body = writer.view();
      const crc = Bun.hash.crc32(body);
      const { insertEntry } = this.#parts.statements;
      insertEntry.run(log.id, log.top, to - from, wallMs, ageMs, bytes, log.bytes, crc, body);
      from = to;
    }
    log.newestAgeMs = ageMs;
  }

  #event(
    log: StoredLog,
    batch: Batch,
    { first, timeMs, stamped }: { readonly first: number; readonly timeMs: number; readonly stamped: Stamped },
  ): FeedEvent | null {
    if (stamped.fresh.length === 0 || !this.#parts.interest.has(log)) return null;
    const messages: Stored[] = [];
    let offset = first;
    for (const { body } of stamped.fresh) {
      messages.push({ bytes: body.bytes, payloadLength: body.payloadLength, offset: offset++, timeMs });
    }
    const { app, tag } = batch;
    return { app, tag, epoch: log.epoch, first, messages, batch, drafts: stamped.indices };
  }
}

/** How many drafts from one on make an entry, and the bytes of their messages. */
function extentOf(bodies: readonly Draft[], from: number): { to: number; bytes: number } {
  let to = from;
  let bytes = 0;
  while (to < bodies.length && to - from < entryDraftsMax) {
    const { length } = (bodies[to] as Draft).body.bytes;
    if (to > from && bytes + length > entryBytesMax) break;
    bytes += length;
    to++;
  }
  return { to, bytes };
}

function refusal(error: (typeof errors)[keyof typeof errors]): Written {
  return { appended: { error }, event: null };
}
